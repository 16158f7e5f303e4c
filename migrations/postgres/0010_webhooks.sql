-- Webhooks: armed when their job ends; every attempt is kept as long as the job.

ALTER TABLE jobs ADD COLUMN webhook_url text;
ALTER TABLE jobs ADD COLUMN webhook_after_ms bigint NOT NULL DEFAULT 0;

CREATE TABLE webhooks (
  num bigint PRIMARY KEY, -- of the job
  state text NOT NULL,
  attempts integer NOT NULL,
  due_by double precision
);

CREATE INDEX webhooks_due ON webhooks (due_by) WHERE due_by IS NOT NULL;

CREATE TABLE webhook_attempts (
  num bigint NOT NULL,
  attempt integer NOT NULL,
  at bigint NOT NULL,
  took_ms bigint NOT NULL,
  status integer,
  error text,
  PRIMARY KEY (num, attempt)
);
