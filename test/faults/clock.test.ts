/**
 * R18: the wall clock is set while the server runs, and between two processes. Nothing that waits or has an order goes
 * by it; what is shown and what tokens say does (PROTOCOL section 1, docs/architecture.md "Time has readings").
 */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { connect } from "../support/client.ts";
import { fakeTime } from "../support/faketime.ts";
import { apiOf, tokensBody } from "../support/http.ts";
import { checkLog } from "../support/log-checker.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { until } from "../support/wait.ts";

const HOUR_MS = 3_600_000;

interface SetClock {
  readonly server: TestServer;
  /** By how much the server's wall clock differs from ours from now on, such as `+1h`. */
  set(offset: string): Promise<void>;
}

/** A server whose wall clock is what a file says; the monotonic one is left alone, as when an administrator sets the time. */
async function startWithClock(env: Record<string, string>): Promise<SetClock & AsyncDisposable> {
  const folder = await import("../conformance/storages.ts").then(({ temporaryFolder }) => temporaryFolder());
  const file = join(folder.path, "clock");
  await Bun.write(file, "+0\n");
  const faketime = fakeTime({ FAKETIME_TIMESTAMP_FILE: file, FAKETIME_NO_CACHE: "1" });
  const server = await startServer({ env: { ...env, ...faketime } });
  return {
    server,
    set: async (offset) => void (await Bun.write(file, `${offset}\n`)),
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      await folder.remove();
    },
  };
}

/** By how much the server's `Date` differs from ours, in whole hours. */
async function hoursAhead({ url }: TestServer): Promise<number> {
  const { headers } = await fetch(`${url}/healthz`);
  return Math.round((Date.parse(headers.get("date") ?? "") - Date.now()) / HOUR_MS);
}

test("faults/R18 a clock that is set forward and back while jobs run changes no order, no wait and no session", async () => {
  await using clocked = await startWithClock({ HOLDLINE_PING_MS: "400", HOLDLINE_PING_TIMEOUT_MS: "800" });
  const { server } = clocked;
  await using client = await connect(server);
  const submit = (input: Parameters<typeof tokensBody>[0], options = {}) =>
    apiOf(server, client.token).submit(tokensBody(input, options));

  const talking = await submit({ tokens: 60, intervalMs: 50 }, { idleMs: 2000, timeoutMs: 20_000 });
  const failing = await submit({ failAt: 2, tokens: 3 });
  await client.waitForEvent(talking.id, "ten words", ({ seq }) => seq > 10);
  await clocked.set("+1h");
  expect(await until("the server to be an hour ahead", async () => (await hoursAhead(server)) === 1)).toBe(
    true,
  );
  // The token it held has ended by the new time: it is given one that fits.
  await client.waitFor(
    "a new token",
    ({ type, tokenExpiresAt = 0 }) => type === "token" && tokenExpiresAt > Date.now() + HOUR_MS,
  );
  const later = await submit({});
  await client.waitForEnd(later.id);
  await clocked.set("-1h");
  expect(await until("the server to be an hour behind", async () => (await hoursAhead(server)) === -1)).toBe(
    true,
  );
  await client.waitFor(
    "a token of the time before",
    ({ type, tokenExpiresAt = Infinity }) => type === "token" && tokenExpiresAt < Date.now(),
  );
  const last = await submit({ failAt: 2, tokens: 3 });

  const api = apiOf(server, client.token);
  for (const { id } of [talking, failing, later, last]) {
    await client.waitForEnd(id);
    expect(await api.job(id)).toMatchObject({ status: "succeeded" });
    const backwards = checkLog(await api.log(id)).filter((problem) => !problem.includes("at goes back"));
    expect(backwards).toEqual([]);
  }
  const list = await api.call<{ items: { id: string }[] }>("GET", "/v1/jobs");
  expect(list.body.items.map(({ id }) => id)).toEqual([last.id, later.id, failing.id, talking.id]);
  expect(client.closed).toBeNull();
}, 60_000);

test("faults/R18 what waits in the store waits no longer though the clock was set back between two processes", async () => {
  const env = { HOLDLINE_CONCURRENCY: "40" };
  await using clocked = await startWithClock(env);
  const { server } = clocked;
  await clocked.set("+1h");
  await server.restart();
  const client = await connect(server);
  const api = apiOf(server, client.token);
  const failing = await Promise.all(
    Array.from({ length: 30 }, () => api.submit(tokensBody({ failAt: 1, failTimes: 2, tokens: 1 }))),
  );
  const lasting = await Promise.all(
    Array.from({ length: 40 }, () => api.submit(tokensBody({ tokens: 100, intervalMs: 60_000 }))),
  );
  for (const { id } of failing) {
    await until(`job ${id} to wait for its next run`, async () =>
      (await api.log(id)).some(({ kind }) => kind === "job.retrying"),
    );
  }
  const late = await api.submit(tokensBody({}, { startWithinMs: 6000, priority: 0 }));
  const token = client.token;
  await server.kill("SIGKILL");
  await clocked.set("-1h");
  await server.restart();
  expect(await hoursAhead(server)).toBe(-1);

  // The session goes on, and what had to wait a moment waits no hours.
  await using again = await connect(server, { token });
  expect(again.welcome.session).toMatchObject({ id: client.sessionId, resumed: true });
  const present = apiOf(server, again.token);
  for (const { id } of lasting) await present.cancel(id);
  for (const { id } of failing)
    expect(await present.finished(id)).toMatchObject({ status: "succeeded", attempt: 3 });
  expect(["succeeded", "expired"]).toContain((await present.finished(late.id)).status);
}, 60_000);
