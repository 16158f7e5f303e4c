-- Webhooks: armed when their job ends; every attempt is kept as long as the job.

ALTER TABLE jobs ADD COLUMN webhook_url TEXT;
ALTER TABLE jobs ADD COLUMN webhook_after_ms INTEGER NOT NULL DEFAULT 0;

CREATE TABLE webhooks (
  num INTEGER PRIMARY KEY, -- of the job
  state TEXT NOT NULL,
  attempts INTEGER NOT NULL,
  due_by REAL
) STRICT;

CREATE INDEX webhooks_due ON webhooks (due_by) WHERE due_by IS NOT NULL;

CREATE TABLE webhook_attempts (
  num INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  at INTEGER NOT NULL,
  took_ms INTEGER NOT NULL,
  status INTEGER,
  error TEXT,
  PRIMARY KEY (num, attempt)
) STRICT, WITHOUT ROWID;
