/** R16: another server on the same folder. */
import { expect, test } from "bun:test";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { newSession, tokensBody } from "../../support/http.ts";
import { expectWhole, outline } from "../../support/log-checker.ts";
import { startServer, type TestServer } from "../../support/server.ts";
import { program } from "../../support/program.ts";
import { within } from "../../support/wait.ts";
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
