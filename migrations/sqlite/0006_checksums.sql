-- CRC-32 over an entry of a log (src/jobs/sqlite/sum.ts); NULL: written before there was one.
ALTER TABLE job_events ADD COLUMN sum INTEGER;
