-- Several processes may write one file: what each transaction did to the queue, for those who know the queue by heart.
-- Written while there are several, and kept as long as any of them may have to catch up.
CREATE TABLE queue_moves (
  num INTEGER PRIMARY KEY,
  moves TEXT NOT NULL
) STRICT;
