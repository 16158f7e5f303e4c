-- Messages of rooms that keep a history.

CREATE TABLE room_messages (
  num bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- their order; never given twice
  room text NOT NULL,
  id text NOT NULL, -- UUIDv7
  user_id text, -- who said it; NULL: a program of the operator
  session_id text,
  data text NOT NULL, -- JSON
  at bigint NOT NULL
);

CREATE INDEX room_messages_order ON room_messages (room, num);
CREATE UNIQUE INDEX room_messages_id ON room_messages (room, id);
CREATE INDEX room_messages_age ON room_messages (at);
