-- How far steady time had come (src/lib/clock.ts): the next process goes on from there. One row at most.

CREATE TABLE clock (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  steady_ms REAL NOT NULL
) STRICT;
