/** Clients that are gone before they were welcomed: a session must not stay online without a socket (section 4). */
import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { connect } from "node:net";
import { join } from "node:path";
import { sharedServer } from "../support/server.ts";
import { until } from "../support/wait.ts";

const server = sharedServer();
const ROUNDS = 20;

/** Sends the handshake and tears the connection down as soon as it was answered, without a close frame. */
function shakeHandsAndVanish(): Promise<void> {
  const gone = Promise.withResolvers<void>();
  const socket = connect(server().port, "127.0.0.1");
  socket.once("data", () => socket.resetAndDestroy());
  socket.once("close", () => gone.resolve());
  socket.write(
    `GET /v1/connect HTTP/1.1\r\nHost: 127.0.0.1:${server().port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
      "Sec-WebSocket-Protocol: holdline.v1\r\n\r\n",
  );
  return gone.promise;
}

interface Count {
  readonly sessions: number;
  readonly connected: number;
}

test("sessions whose clients vanished right after the handshake are away, and will expire", async () => {
  // Nobody was told their ids: they can only be counted where they are kept.
  using db = new Database(join(server().dataFolder, "holdline.db"), { readonly: true });
  const count = db.query<Count, []>(
    "SELECT count(*) AS sessions, count(connected_at) AS connected FROM sessions WHERE expires_by IS NULL OR presence = 'away'",
  );
  for (let round = 0; round < ROUNDS; round += 1) await shakeHandsAndVanish();
  await until("every session to be away", () => {
    const now = count.get();
    return now?.sessions === ROUNDS && now.connected === 0;
  });
  expect(count.get()).toEqual({ sessions: ROUNDS, connected: 0 });
});
