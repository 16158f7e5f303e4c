-- Jobs that are put off: run_at wall clock ms, delay_ms from when they were accepted. `due` may be 2: waits until
-- ready_by for its first run, and has no turn yet.

ALTER TABLE jobs ADD COLUMN run_at bigint;
ALTER TABLE jobs ADD COLUMN delay_ms bigint;

CREATE INDEX jobs_put_off ON jobs (ready_by, num) WHERE due = 2;
