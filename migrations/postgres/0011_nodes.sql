-- What several processes of one installation share beside jobs and sessions.

-- One row: the name that keeps installations apart where they share a Redis server, and the secret by which their
-- processes know each other.
CREATE TABLE installation (
  id bigint PRIMARY KEY CHECK (id = 1),
  name text NOT NULL,
  secret text NOT NULL
);

-- Every process that serves, or did until it fell silent. `seen_by`: its last sign of life, steady clock.
CREATE TABLE nodes (
  id text PRIMARY KEY,
  boot_id text NOT NULL, -- of this start of it
  role text NOT NULL,
  state text NOT NULL, -- up, draining, dead
  version text NOT NULL,
  host text NOT NULL,
  url text NOT NULL, -- where it listens
  started_at bigint NOT NULL,
  seen_by double precision NOT NULL,
  sockets integer NOT NULL,
  runs integer NOT NULL
);

-- The clock of whoever keeps the database, as it was when `steady_ms` was set: the steady time of all processes is
-- counted from there.
ALTER TABLE clock ADD COLUMN wall_ms double precision;

-- The keys that sign session tokens, shared by all nodes. (On SQLite they are files of the data folder.)
CREATE TABLE signing_keys (
  kid text PRIMARY KEY,
  created_at bigint NOT NULL, -- the newest signs
  jwk text NOT NULL
);
