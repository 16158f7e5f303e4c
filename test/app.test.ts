/** The server's own start and stop, when they are not the plain case. */
import { describe, expect, test } from "bun:test";
import { createApp, type App } from "../src/app.ts";
import { loadConfig } from "../src/config.ts";
import { createSystemClock } from "../src/lib/clock.ts";
import { createLogger } from "../src/lib/logger.ts";
import { Refusal } from "../src/protocol/error.ts";
import type { SessionStore } from "../src/sessions/store.ts";
import type { Storage } from "../src/storage/contract.ts";
import { createSystemWorld, type World } from "../src/world.ts";
import { failureOf } from "./conformance/failure.ts";
import { newSession } from "./support/http.ts";
import { openRawWebSocket } from "./support/raw-websocket.ts";
import { letTimePass, until } from "./support/wait.ts";
import type { SessionBody } from "./support/wire.ts";

/** A server in memory whose waits are over twenty times as soon, in a world that is a little different. */
function createHasty(change: Partial<World> = {}, open: (storage: Storage) => Storage = (same) => same): App {
  const { config } = loadConfig({
    flags: { port: "0", "database-url": "sqlite::memory:", "drain-ms": "0" },
    env: {},
    cwd: "/",
    readFile: () => null,
  });
  const clock = createSystemClock();
  const after = clock.after.bind(clock);
  const hasty = Object.assign(clock, { after: (ms: number, then: () => void) => after(ms / 20, then) });
  const system = createSystemWorld(hasty);
  const logger = createLogger({ level: "silent", pretty: false });
  const openStorage: World["openStorage"] = async (...given) => open(await system.openStorage(...given));
  return createApp({ config, logger, world: { ...system, openStorage, ...change } });
}

/** Sessions of the process before cannot be recovered until `heal`. */
function createAilingSessions() {
  const ailing = { attempts: 0, healed: false };
  const open = (storage: Storage): Storage => ({
    ...storage,
    sessions: {
      ...storage.sessions,
      recover(...given: Parameters<SessionStore["recover"]>) {
        ailing.attempts += 1;
        if (!ailing.healed) return Promise.reject(new Refusal("storage_unavailable", "It is away."));
        return storage.sessions.recover(...given);
      },
    },
  });
  return { ailing, open };
}

const answers = (app: App): Promise<boolean> =>
  fetch(`${app.url}/healthz`).then(
    ({ ok }) => ok,
    () => false,
  );

describe("a stop", () => {
  test("while the server starts ends it as soon as it has started", async () => {
    const opened = Promise.withResolvers<void>();
    const system = createSystemWorld();
    const app = createHasty({
      async openStorage(...given) {
        await opened.promise;
        return system.openStorage(...given);
      },
    });
    const starting = app.start();
    const stopping = app.stop();
    opened.resolve();
    await Promise.all([starting, stopping]);
    expect(await answers(app)).toBe(false);
  });

  test("of a server that never started is nothing, and it can be started after it", async () => {
    const app = createHasty();
    await app.stop();
    await app.start();
    expect(await answers(app)).toBe(true);
    await app.stop();
    expect(await answers(app)).toBe(false);
  });
});

describe("a start that cannot be stored yet", () => {
  test("takes no socket before it is: it would be taken for one of the process before", async () => {
    const { ailing, open } = createAilingSessions();
    const app = createHasty({}, open);
    await app.start();
    const api = await newSession(app);
    const port = Number(new URL(app.url).port);
    const early = await openRawWebSocket(port, api.token);
    await until("the close", () => early.closeCode() !== null);
    expect(early.frames.at(-1)).toMatchObject({ type: "goodbye", reason: "overloaded", reconnect: true });
    ailing.healed = true;
    const socket = await until("the welcome", async () => {
      const opened = await openRawWebSocket(port, api.token);
      await until("an answer", () => opened.frames.length > 0);
      return opened.frames[0]?.type === "welcome" ? opened : null;
    });
    const { presence } = (await api.call<SessionBody>("GET", "/v1/sessions/current")).body;
    expect(presence).toBe("online");
    socket.destroy();
    await app.stop();
  });

  test("is not tried again when the server does not start at all", async () => {
    const { ailing, open } = createAilingSessions();
    const serve = (): never => {
      throw new Error("the port is taken");
    };
    const app = createHasty({ serve }, open);
    expect((await failureOf(app.start())).message).toBe("the port is taken");
    const { attempts } = ailing;
    // Long enough for several tries, with waits that are a twentieth.
    await letTimePass(200);
    expect(ailing.attempts).toBe(attempts);
    await app.stop();
  });
});
