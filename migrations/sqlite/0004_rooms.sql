-- Members of rooms and how they are seen; messages of rooms that keep a history.

ALTER TABLE sessions ADD COLUMN presence_at INTEGER NOT NULL DEFAULT 0; -- since when presence is what it is
ALTER TABLE sessions ADD COLUMN chosen_presence TEXT NOT NULL DEFAULT 'online'; -- what its user chose, while a socket is open

UPDATE sessions SET presence_at = last_seen_at;

CREATE INDEX sessions_in_rooms ON sessions (id) WHERE ended_at IS NULL AND rooms <> '[]';

CREATE TABLE room_messages (
  room TEXT NOT NULL,
  id TEXT NOT NULL, -- UUIDv7: their order in the room
  user_id TEXT, -- who said it; NULL: a program of the operator
  session_id TEXT,
  data TEXT NOT NULL, -- JSON
  at INTEGER NOT NULL,
  PRIMARY KEY (room, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX room_messages_age ON room_messages (at);
