/** The database writer's own thread, and that of its helper: an entry point beside main.ts. */
import { createSystemClock } from "./lib/clock.ts";
import { createCheckpoints, helpCheckpoint } from "./sqlite/checkpoint.ts";
import { openSqlite } from "./sqlite/database.ts";
import { runWriterThread } from "./sqlite/thread.ts";
import { createTurns } from "./sqlite/turns.ts";
import { createParticipants } from "./storage/participants.ts";

declare const self: Worker;

runWriterThread(self, {
  open(start) {
    const connection = openSqlite(start);
    const clock = createSystemClock();
    const checkpoints = createCheckpoints(connection.raw, start.path, clock);
    const shared = start.shared === true;
    return {
      db: connection.raw,
      participants: createParticipants(connection, shared ? { wallMs: () => clock.wallMs() } : null),
      ...(shared ? { turns: createTurns(connection.raw, clock) } : {}),
      afterBatch: () => checkpoints.afterBatch(),
      close() {
        checkpoints.stop();
        connection.close();
      },
    };
  },
  help(start) {
    const connection = openSqlite(start);
    try {
      return helpCheckpoint(connection.raw);
    } finally {
      connection.close();
    }
  },
});
