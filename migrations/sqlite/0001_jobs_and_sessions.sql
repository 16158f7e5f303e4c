-- Jobs, their logs, idempotency keys, sessions. Times: *_at wall clock ms, *_by steady ms (src/lib/clock.ts).

CREATE TABLE jobs (
  num INTEGER PRIMARY KEY, -- the log is clustered by it
  id TEXT NOT NULL UNIQUE,
  user_id TEXT NOT NULL,
  session_id TEXT,
  type TEXT NOT NULL,
  metadata TEXT NOT NULL,
  priority INTEGER NOT NULL,
  lane TEXT,
  start_within_ms INTEGER,
  timeout_ms INTEGER NOT NULL,
  first_output_ms INTEGER,
  idle_ms INTEGER,
  max_attempts INTEGER NOT NULL,
  retry_after_output INTEGER NOT NULL,
  cancel_on_disconnect INTEGER NOT NULL,
  orphan_ms INTEGER NOT NULL,
  traceparent TEXT NOT NULL,
  tracestate TEXT,
  correlation_id TEXT,
  retry_of TEXT,
  created_at INTEGER NOT NULL,
  turn INTEGER NOT NULL,

  status TEXT NOT NULL,
  attempt INTEGER NOT NULL,
  errors INTEGER NOT NULL,
  lost_leases INTEGER NOT NULL,
  head INTEGER NOT NULL,
  oldest INTEGER NOT NULL,
  log_bytes INTEGER NOT NULL,
  output_after INTEGER NOT NULL,
  has_output INTEGER NOT NULL,
  reset_reason TEXT,
  started_at INTEGER,
  finished_at INTEGER,
  ready_by REAL NOT NULL,
  due INTEGER, -- 1 may run now, 0 waits until ready_by, NULL is neither queued nor retrying
  start_by REAL,
  lease_token TEXT,
  lease_owner TEXT,
  lease_by REAL,
  cancel_reason TEXT,
  cancel_by REAL,
  progress TEXT,
  error TEXT,
  delivered_at INTEGER,
  acknowledged INTEGER NOT NULL,
  purged_at INTEGER,
  trimmed INTEGER NOT NULL -- 1: retention has nothing more to take from its log
) STRICT;

CREATE INDEX jobs_ready ON jobs (type, priority DESC, turn, num) WHERE due = 1;
CREATE INDEX jobs_waiting ON jobs (ready_by) WHERE due = 0;
CREATE INDEX jobs_start ON jobs (start_by) WHERE start_by IS NOT NULL;
CREATE INDEX jobs_cancel ON jobs (cancel_by) WHERE cancel_by IS NOT NULL;
CREATE INDEX jobs_lease ON jobs (lease_by) WHERE lease_by IS NOT NULL;
CREATE INDEX jobs_lane ON jobs (session_id, lane) WHERE lane IS NOT NULL AND finished_at IS NULL;
CREATE INDEX jobs_session ON jobs (session_id, num) WHERE session_id IS NOT NULL AND acknowledged = 0;
CREATE INDEX jobs_orphan ON jobs (num) WHERE cancel_on_disconnect = 1 AND finished_at IS NULL;
CREATE INDEX jobs_user ON jobs (user_id, id);
CREATE INDEX jobs_finished ON jobs (finished_at) WHERE finished_at IS NOT NULL;
CREATE INDEX jobs_untrimmed ON jobs (finished_at) WHERE finished_at IS NOT NULL AND trimmed = 0;
CREATE INDEX jobs_purged ON jobs (num) WHERE purged_at IS NOT NULL AND trimmed = 0;

-- Bulky and rarely read: kept away from the row that every append rewrites.
CREATE TABLE job_payloads (
  num INTEGER PRIMARY KEY,
  input TEXT,
  checkpoint TEXT
) STRICT;

-- id = jobs.num * 2^22 + seq: one b-tree holds the logs, each job's entries side by side in order.
CREATE TABLE job_events (
  id INTEGER PRIMARY KEY,
  attempt INTEGER NOT NULL,
  at INTEGER NOT NULL,
  kind TEXT NOT NULL,
  data ANY NOT NULL -- JSON text, or the bytes of a binary entry
) STRICT;

CREATE TABLE idempotency_keys (
  user_id TEXT NOT NULL,
  route TEXT NOT NULL,
  key TEXT NOT NULL,
  fingerprint TEXT NOT NULL,
  job_id TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (user_id, route, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX idempotency_keys_age ON idempotency_keys (created_at);

CREATE TABLE sessions (
  id TEXT PRIMARY KEY,
  user_id TEXT NOT NULL,
  node_id TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  connected_at INTEGER,
  last_seen_at INTEGER NOT NULL,
  presence TEXT NOT NULL,
  rooms TEXT NOT NULL, -- JSON array
  binding TEXT, -- JSON: the user token it is bound to; NULL in open mode
  away_by REAL, -- when its last socket closed; NULL while one is open
  expires_by REAL, -- NULL while a socket is open
  ended_at INTEGER, -- logged out or revoked: its tokens are dead, the row stays until they would have ended
  forget_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX sessions_user ON sessions (user_id);
CREATE INDEX sessions_expiry ON sessions (expires_by) WHERE expires_by IS NOT NULL;
CREATE INDEX sessions_forget ON sessions (forget_at) WHERE forget_at IS NOT NULL;

CREATE TABLE machine_tokens (
  id TEXT PRIMARY KEY,
  hash TEXT NOT NULL UNIQUE, -- base64url SHA-256; the secret itself is nowhere
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  types TEXT, -- JSON array; NULL: all
  rooms TEXT, -- JSON array; NULL: all
  created_at INTEGER NOT NULL,
  expires_at INTEGER,
  last_used_at INTEGER,
  revoked_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE revocations (
  kind TEXT NOT NULL,
  subject TEXT NOT NULL,
  before INTEGER NOT NULL,
  until INTEGER NOT NULL,
  PRIMARY KEY (kind, subject)
) STRICT, WITHOUT ROWID;
