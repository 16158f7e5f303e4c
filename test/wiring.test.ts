/** The parts as the server puts them together: what the rooms' own tests cannot see, since they make their own. */
import { expect, test } from "bun:test";
import { loadConfig } from "../src/config.ts";
import type { JobId } from "../src/lib/ids.ts";
import { createLogger } from "../src/lib/logger.ts";
import { wire, type Parts } from "../src/parts.ts";
import { createSystemWorld } from "../src/world.ts";
import { createFakeSocket } from "./hub/fake-socket.ts";

/** All parts of a server on a database in memory; none of them was started. */
async function wired(): Promise<Parts> {
  const flags = { port: "0", "database-url": "sqlite::memory:" };
  const { config } = loadConfig({ flags, env: {}, cwd: "/", readFile: () => null });
  const logger = createLogger({ level: "silent", pretty: false });
  return wire({ ...createSystemWorld(), config, logger, handlers: [], askDrain: () => {} });
}

test("what the hub says of itself is how it stands, not how it began", async () => {
  const { hub, storage } = await wired();
  const socket = createFakeSocket();
  const connection = hub.add(socket);
  expect([hub.size, hub.behind, hub.stopped]).toEqual([1, 0, false]);
  connection.attach("00000000-0000-7000-8000-000000000000" as JobId, 0, 5);
  expect(hub.behind).toBe(1);
  await hub.stop();
  expect(hub.stopped).toBe(true);
  hub.remove(connection);
  expect(hub.size).toBe(0);
  await storage.stop();
});

test("what sockets are sent is counted", async () => {
  const { hub, telemetry, storage } = await wired();
  hub.add(createFakeSocket()).send({ type: "ping", at: 1 });
  const [frames] = telemetry.deliveries.families();
  expect(frames?.samples).toEqual([{ value: 1 }]);
  await storage.stop();
});
