/**
 * R20, R28: a process that does not run for a while, stopped from outside or blocked from inside. Whoever was only
 * waiting for it is not judged by that time: no connection, run, lease or session ends over it.
 */
import { expect, test } from "bun:test";
import { connect, type Client } from "../support/client.ts";
import { apiOf, newSession, tokensBody } from "../support/http.ts";
import { expectWhole } from "../support/log-checker.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { letTimePass, until } from "../support/wait.ts";
import type { SessionBody } from "../support/wire.ts";

/** Much shorter than the pauses below. */
const HASTY = { HOLDLINE_PING_MS: "400", HOLDLINE_PING_TIMEOUT_MS: "600" };
const PAUSE_MS = 3000;

/** A client with a job that speaks all the time, has to, and goes when nobody listens. */
async function withJob(server: TestServer): Promise<{ client: Client; id: string }> {
  const client = await connect(server);
  const strict = { idleMs: 1500, timeoutMs: 8000, onDisconnect: "cancel", orphanMs: 500 };
  const { id } = await apiOf(server, client.token).submit(
    tokensBody({ tokens: 30, intervalMs: 50, size: 8 }, strict),
  );
  await client.waitForEvent(id, "the first words", ({ seq }) => seq > 5);
  return { client, id };
}

async function expectUnharmed(server: TestServer, all: readonly { client: Client; id: string }[]) {
  for (const { client, id } of all) {
    await client.waitForEnd(id);
    const api = apiOf(server, client.token);
    expect(await api.job(id)).toMatchObject({ status: "succeeded", attempt: 1 });
    expectWhole(await api.log(id), [{ after: 0, events: client.events(id) }]);
    expect(client.closed).toBeNull();
    await client.close();
  }
}

test("faults/R20 a process that is stopped and goes on has expired nothing and closed nobody", async () => {
  await using server = await startServer({ env: HASTY });
  const all = await Promise.all(Array.from({ length: 10 }, () => withJob(server)));
  await server.kill("SIGSTOP");
  await letTimePass(PAUSE_MS);
  await server.kill("SIGCONT");
  await expectUnharmed(server, all);
}, 30_000);

/** A client leaves, the server does nothing for a while, the client comes back: its job must not have been given up. */
async function expectTimeToComeBack(server: TestServer, pause: () => Promise<void>): Promise<void> {
  const client = await connect(server);
  const api = apiOf(server, client.token);
  // Longer than what counts of a pause, shorter than the pause.
  const patience = { onDisconnect: "cancel", orphanMs: 2500 };
  const { id } = await api.submit(tokensBody({ tokens: 400, intervalMs: 50 }, patience));
  await client.waitForEvent(id, "the first words", ({ seq }) => seq > 5);
  await client.close();
  await until("its leaving to be noticed", async () => {
    const { body } = await api.call<SessionBody>("GET", "/v1/sessions/current");
    return body.presence === "away";
  });
  await pause();
  await using back = await connect(server, { token: client.token });
  const { head = 0 } = await back.attach(id, 5);
  // A second of it: those who look for jobs that nobody wants have looked by then.
  await back.waitForEvent(id, "more words", ({ seq }) => seq > head + 20);
  expect(await api.job(id)).toMatchObject({ status: "running", attempt: 1 });
}

test("faults/R20 a client that had left before the pause has as much time to come back as it was told", async () => {
  await using server = await startServer();
  await expectTimeToComeBack(server, async () => {
    await server.kill("SIGSTOP");
    await letTimePass(PAUSE_MS);
    await server.kill("SIGCONT");
  });
}, 30_000);

test("faults/R28 a client that had left before the loop was blocked has as much time to come back", async () => {
  await using server = await startServer({ program: "faults/odd-server.ts" });
  const api = await newSession(server);
  await expectTimeToComeBack(server, async () => {
    const { id } = await api.submit({ type: "selfish", input: { blockMs: PAUSE_MS } });
    await api.finished(id);
  });
}, 30_000);

test("faults/R28 a handler that blocks the event loop costs nobody a connection or a lease", async () => {
  await using server = await startServer({ env: HASTY, program: "faults/odd-server.ts" });
  const all = await Promise.all(Array.from({ length: 5 }, () => withJob(server)));
  await using other = await connect(server);
  const api = apiOf(server, other.token);
  const { id } = await api.submit({ type: "selfish", input: { blockMs: PAUSE_MS } });
  await other.waitForEnd(id);
  expect(await api.job(id)).toMatchObject({ status: "succeeded", attempt: 1 });
  await expectUnharmed(server, all);
}, 30_000);
