/** The database writer's own thread: an entry point beside main.ts. */
import { openSqlite } from "./sqlite/database.ts";
import { runWriterThread } from "./sqlite/thread.ts";
import { createParticipants } from "./storage.ts";

declare const self: Worker;

runWriterThread(self, (start) => {
  const connection = openSqlite(start);
  return {
    db: connection.raw,
    participants: createParticipants(connection),
    close: () => connection.close(),
  };
});
