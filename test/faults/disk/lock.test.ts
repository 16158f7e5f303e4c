/** R16, R17: another server on the same folder, and another program that holds the write lock of the database. */
import { expect, test } from "bun:test";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { call, newSession, tokensBody } from "../../support/http.ts";
import { checkLog, expectWhole, outline } from "../../support/log-checker.ts";
import { startServer, type TestServer } from "../../support/server.ts";
import { program } from "../../support/program.ts";
import { until, within } from "../../support/wait.ts";
import { hold } from "./hold.ts";
import { openHistory } from "./history.ts";

/** A server that is not expected to come up: how it ended, and what it said. */
async function tryStart({ dataFolder }: TestServer): Promise<{ code: number; said: string; tookMs: number }> {
  const begun = performance.now();
  const child = Bun.spawn(program("serve", "--port", "0"), {
    cwd: tmpdir(),
    env: { PATH: process.env["PATH"] ?? "", HOLDLINE_DATA_DIR: dataFolder },
    stdout: "pipe",
    stderr: "pipe",
  });
  // One that does come up must not outlive the test.
  const code = await within("the second server to leave", child.exited).finally(() => child.kill("SIGKILL"));
  const said = await new Response(child.stderr).text();
  return { code, said, tookMs: performance.now() - begun };
}

test("faults/R16: a second server on the same folder leaves with a sentence, and the first notices nothing", async () => {
  await using server = await startServer();
  const api = await newSession(server);
  const running = await api.submit(tokensBody({ tokens: 300, intervalMs: 5 }));
  for (let n = 0; n < 3; n += 1) {
    const { code, said } = await tryStart(server);
    expect(code).toBe(1);
    expect(said).toMatch(
      /^holdline: cannot start: another holdline server is using this data folder .*: stop it first, or use another folder\n$/,
    );
    await api.submit(tokensBody());
  }
  await api.finished(running.id);
  const log = await api.log(running.id);
  expectWhole(log);
  expect(outline(log)).toEqual(["job.queued", "job.started", "output.text", "job.succeeded"]);
});

test("faults/R16: the lock of a server that was killed holds nobody up", async () => {
  await using server = await startServer();
  const history = await openHistory(server);
  for (let n = 0; n < 3; n += 1) {
    await history.submit(tokensBody({ tokens: 50, intervalMs: 20 }));
    await server.kill("SIGKILL");
    expect(await Bun.file(join(server.dataFolder, "holdline.lock")).exists()).toBe(true);
    await server.restart();
  }
  expect(server.output()).not.toContain("cannot start");
  await history.check(server);
});

/** Twice what the writer waits (2 s), and room for a busy machine. */
const ANSWER_LIMIT_MS = 8000;

const HELD_MS = 10_000;

test("faults/R17: while another program holds the write lock for 10 s submits are 503 in bounded time, and then all goes on", async () => {
  await using server = await startServer();
  const api = await newSession(server);
  const history = await openHistory(server, 2);
  await history.submit(tokensBody());
  const running = await api.submit(tokensBody({ tokens: 500, intervalMs: 5 }));
  await until("the run to speak", async () => (await api.job(running.id)).head > 10);
  {
    await using held = await hold(server, "write");
    expect(held.pid).not.toBe(server.pid);
    const { head } = await api.job(running.id);
    const begun = performance.now();
    while (performance.now() - begun < HELD_MS) {
      const asked = performance.now();
      const told = await Promise.all(Array.from({ length: 5 }, () => history.submit(tokensBody())));
      expect(new Set(told)).toEqual(new Set(["unavailable"]));
      expect(performance.now() - asked).toBeLessThan(ANSWER_LIMIT_MS);
    }
    // Reads do not wait for the lock, and nothing of the run was half written.
    const reading = performance.now();
    expect((await api.job(running.id)).head).toBeLessThanOrEqual(head + 1);
    expect(checkLog(await api.log(running.id), false)).toEqual([]);
    expect(performance.now() - reading).toBeLessThan(1000);
    expect((await call("GET", `${server.url}/readyz`)).status).toBe(503);
    expect(server.exit()).toBeNull();
  }
  // The first try after it let go is taken.
  expect(await history.submit(tokensBody())).toBe("accepted");
  const ready = async () => (await call("GET", `${server.url}/readyz`)).status === 200;
  await until("the server to be ready again", ready);
  const job = await api.finished(running.id);
  expect(job.status).toBe("succeeded");
  expect(job.attempt).toBe(1);
  expectWhole(await api.log(running.id));
  expect(server.exit()).toBeNull();
  await history.check(server);
}, 60_000);
