-- How far each schedule has come: `tick` (wall clock ms) is the last one that is over, by its job or by being missed.

CREATE TABLE schedules (
  name text PRIMARY KEY,
  definition text NOT NULL, -- its pattern and time zone: another one means other ticks
  tick bigint NOT NULL,
  job_id text
);
