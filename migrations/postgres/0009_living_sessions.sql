-- How many sessions there are, with a socket and without, is asked at every scrape.
CREATE INDEX sessions_living ON sessions (connected_at) WHERE ended_at IS NULL;
