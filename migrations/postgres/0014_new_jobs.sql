-- A session's open jobs by their age, as ids have it: those that are new are asked for every two seconds.
DROP INDEX jobs_session;
CREATE INDEX jobs_session ON jobs (session_id, id) WHERE session_id IS NOT NULL AND NOT acknowledged;
