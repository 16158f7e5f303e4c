-- How far each schedule has come: `tick` (wall clock ms) is the last one that is over, by its job or by being missed.

CREATE TABLE schedules (
  name TEXT PRIMARY KEY,
  definition TEXT NOT NULL, -- its pattern and time zone: another one means other ticks
  tick INTEGER NOT NULL,
  job_id TEXT
) STRICT, WITHOUT ROWID;
