/**
 * R03 for clients that are not ours: a socket, the session's token, and a plain exponential back-off. How soon they are back
 * after a kill is up to the server as well: to when it takes connections.
 */
import { expect, test } from "bun:test";
import { percentile } from "../../src/lib/percentile.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { until } from "../support/wait.ts";

const CLIENTS = 20;
const KILLS = 10;
/** 250 ms, 500, 1000, 2000 …: what a tutorial says. */
const FIRST_WAIT_MS = 250;

interface Stranger {
  /** When it was welcome last; null while it is not connected. */
  readonly onlineMs: () => number | null;
  readonly leave: () => void;
}

function stranger({ url }: TestServer): Stranger {
  let token: string | null = null;
  let tries = 0;
  let onlineMs: number | null = null;
  let socket: WebSocket | null = null;
  let gone = false;
  const open = (): void => {
    if (gone) return;
    const proof = token === null ? [] : [`bearer.${token}`];
    socket = new WebSocket(`${url.replace("http", "ws")}/v1/connect`, ["holdline.v1", ...proof]);
    socket.onmessage = ({ data }) => {
      const frame = JSON.parse(String(data)) as { type: string; token?: string; at: number };
      if (frame.type === "ping") socket?.send(JSON.stringify({ type: "pong", at: frame.at }));
      token = frame.token ?? token;
      if (frame.type !== "welcome") return;
      tries = 0;
      onlineMs = performance.now();
    };
    socket.onclose = () => {
      onlineMs = null;
      setTimeout(open, FIRST_WAIT_MS * 2 ** tries);
      tries += 1;
    };
  };
  open();
  return {
    onlineMs: () => onlineMs,
    leave() {
      gone = true;
      socket?.close();
    },
  };
}

test("faults/R03 clients with a plain back-off are back within a second of the server", async () => {
  await using server = await startServer({ env: { HOLDLINE_TOKENS: "on" } });
  const crowd = Array.from({ length: CLIENTS }, () => stranger(server));
  const everybodyIs = (online: boolean): Promise<boolean> =>
    until("everybody", () => crowd.every(({ onlineMs }) => (onlineMs() !== null) === online), 30_000);
  await everybodyIs(true);
  const waits: number[] = [];
  for (let kill = 0; kill < KILLS; kill += 1) {
    await server.kill("SIGKILL");
    await everybodyIs(false);
    await server.restart();
    const backMs = performance.now();
    await everybodyIs(true);
    for (const { onlineMs } of crowd) waits.push(Math.max(0, (onlineMs() ?? Number.NaN) - backMs));
  }
  for (const { leave } of crowd) leave();
  const [p50, p99] = [percentile(waits, 0.5), percentile(waits, 0.99)];
  process.stdout.write(`R03 strangers: p50 ${p50} ms, p99 ${p99} ms\n`);
  expect(waits).toHaveLength(CLIENTS * KILLS);
  expect(p99 ?? Number.NaN).toBeLessThan(1000);
}, 180_000);
