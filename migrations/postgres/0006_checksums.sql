-- CRC-32 over an entry of a log (src/jobs/event-row.ts); NULL: written before there was one.
ALTER TABLE job_events ADD COLUMN sum bigint;
