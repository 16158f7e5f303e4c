-- How far steady time had come (src/lib/clock.ts): the next process goes on from there. One row at most.

CREATE TABLE clock (
  id bigint PRIMARY KEY CHECK (id = 1),
  steady_ms double precision NOT NULL
);
