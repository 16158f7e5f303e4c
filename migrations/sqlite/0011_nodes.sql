-- What several processes of one installation share beside jobs and sessions.

-- One row: the name that keeps installations apart where they share a Redis server, and the secret by which their
-- processes know each other.
CREATE TABLE installation (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  name TEXT NOT NULL,
  secret TEXT NOT NULL
) STRICT;

-- Every process that serves, or did until it fell silent. `seen_by`: its last sign of life, steady clock.
CREATE TABLE nodes (
  id TEXT PRIMARY KEY,
  boot_id TEXT NOT NULL, -- of this start of it
  role TEXT NOT NULL,
  state TEXT NOT NULL, -- up, draining, dead
  version TEXT NOT NULL,
  host TEXT NOT NULL,
  url TEXT NOT NULL, -- where it listens
  started_at INTEGER NOT NULL,
  seen_by REAL NOT NULL,
  sockets INTEGER NOT NULL,
  runs INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The clock of whoever keeps the database, as it was when `steady_ms` was set: the steady time of all processes is
-- counted from there.
ALTER TABLE clock ADD COLUMN wall_ms REAL;
