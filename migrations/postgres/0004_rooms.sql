-- Members of rooms, and how they are seen.

ALTER TABLE sessions ADD COLUMN presence_at bigint NOT NULL DEFAULT 0; -- since when presence is what it is
ALTER TABLE sessions ADD COLUMN chosen_presence text NOT NULL DEFAULT 'online'; -- what its user chose, while a socket is open

UPDATE sessions SET presence_at = last_seen_at;

CREATE INDEX sessions_in_rooms ON sessions (id) WHERE ended_at IS NULL AND rooms <> '[]';
