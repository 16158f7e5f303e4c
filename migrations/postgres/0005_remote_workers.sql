-- What a run in a remote worker needs to outlive this process: its items, its time limits, how its last one ended.

ALTER TABLE jobs ADD COLUMN items integer NOT NULL DEFAULT 0; -- taken from the present run
ALTER TABLE jobs ADD COLUMN unheard boolean NOT NULL DEFAULT false; -- leased to a worker that was not heard of since
ALTER TABLE jobs ADD COLUMN run_by double precision;
ALTER TABLE jobs ADD COLUMN quiet_by double precision;
ALTER TABLE jobs ADD COLUMN ended_by text; -- how the run that ended last did, and under which lease

CREATE INDEX jobs_run ON jobs (run_by) WHERE run_by IS NOT NULL;
CREATE INDEX jobs_quiet ON jobs (quiet_by) WHERE quiet_by IS NOT NULL;
