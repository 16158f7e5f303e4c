-- Messages of rooms that keep a history.

CREATE TABLE room_messages (
  num INTEGER PRIMARY KEY AUTOINCREMENT, -- their order; never given twice
  room TEXT NOT NULL,
  id TEXT NOT NULL, -- UUIDv7
  user_id TEXT, -- who said it; NULL: a program of the operator
  session_id TEXT,
  data TEXT NOT NULL, -- JSON
  at INTEGER NOT NULL
) STRICT;

CREATE INDEX room_messages_order ON room_messages (room, num);
CREATE UNIQUE INDEX room_messages_id ON room_messages (room, id);
CREATE INDEX room_messages_age ON room_messages (at);
