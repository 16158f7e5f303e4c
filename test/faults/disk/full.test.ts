/** R09, R10: a disk that fills up. New jobs are refused, accepted ones end, and nobody has to restart anything. */
import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { connect } from "../../support/client.ts";
import { call, expectProblem, lastingBody, newSession, tokensBody } from "../../support/http.ts";
import { expectWhole } from "../../support/log-checker.ts";
import { startServer, type TestServer } from "../../support/server.ts";
import { until } from "../../support/wait.ts";
import { valueOf } from "../../telemetry/scrape.ts";
import { checkIntegrity } from "./history.ts";
import { openSmallDisk, type SmallDisk } from "./small-disk.ts";

const MIB = 1024 * 1024;

function startOn(disk: SmallDisk, env: Record<string, string> = {}): Promise<TestServer> {
  return startServer({ env: { HOLDLINE_DATABASE_URL: `sqlite:${join(disk.path, "holdline.db")}`, ...env } });
}

const scrape = async (server: TestServer, sample: string): Promise<number> =>
  valueOf((await call("GET", `${server.url}/metrics`)).text, sample);

const levelIs = (server: TestServer, level: number, limitMs?: number) =>
  until(`disk level ${level}`, async () => (await scrape(server, "holdline_disk_level")) === level, limitMs);

const ballastOn = (disk: SmallDisk): boolean => existsSync(join(disk.path, "holdline.db.ballast"));

test("faults/R09: on a full disk submits are 503, reading, resuming and canceling go on, and it recovers by itself", async () => {
  await using disk = await openSmallDisk();
  await using server = await startOn(disk);
  const client = await connect(server);
  const api = await newSession(server);
  const key = { "idempotency-key": "before" };
  const done = await api.submit(tokensBody(), key);
  await api.finished(done.id);
  const [first, second, speaking] = [
    await api.submit(lastingBody()),
    await api.submit(lastingBody()),
    await api.submit(tokensBody({ tokens: 400, intervalMs: 20 })),
  ];
  for (const { id } of [first, second, speaking]) await api.inStatus(id, "running");
  await until("the ballast", () => ballastOn(disk));

  await disk.fill(8 * MIB);
  await levelIs(server, 1);
  const refused = await api.post(tokensBody());
  expectProblem(refused, 503, "storage_unavailable");
  expect(refused.headers.get("retry-after")).toBe("5");
  expect(refused.body.detail).toContain("no new jobs are accepted until there is room");
  // A job that was accepted is answered: nothing new is stored for it.
  expect((await api.post(tokensBody(), key)).body.id).toBe(done.id);
  expect((await call("GET", `${server.url}/readyz`)).body).toMatchObject({ status: "degraded" });
  expect((await api.cancel(first.id)).status).toBe(202);
  expect((await api.finished(first.id)).status).toBe("canceled");

  await disk.fill(0);
  await levelIs(server, 2);
  expect(ballastOn(disk)).toBe(false);
  expect((await call("GET", `${server.url}/readyz`)).body).toMatchObject({
    status: "degraded",
    disk: "full",
  });
  expectProblem(await api.post(tokensBody()), 503, "storage_unavailable");
  expectWhole(await api.log(done.id));
  await using again = await connect(server, { token: client.token });
  expect(again.sessionId).toBe(client.sessionId);
  await api.cancel(second.id);
  expect((await api.finished(second.id)).status).toBe("canceled");
  expect(server.exit()).toBeNull();

  await disk.empty();
  await levelIs(server, 0);
  await api.finished((await api.submit(tokensBody())).id);
  const spoken = await api.finished(speaking.id);
  expect({ status: spoken.status, attempt: spoken.attempt }).toEqual({ status: "succeeded", attempt: 1 });
  for (const { id } of [first, second, speaking]) expectWhole(await api.log(id));
  expect((await call("GET", `${server.url}/readyz`)).text).toBe('{"status":"ready"}');
  const said = server.logs().map(({ msg }) => msg);
  for (const line of ["the disk is nearly full: no new jobs are accepted", "there is room on the disk again"])
    expect(said.filter((one) => one === line)).toHaveLength(1);
  expect(server.exit()).toBeNull();
});

test("faults/R10: a disk that the server filled itself is emptied by retention, across a restart, without a loop of crashes", async () => {
  const kept = { HOLDLINE_EVENTS_RETENTION_MS: "6000", HOLDLINE_JOBS_RETENTION_MS: "6000" };
  await using disk = await openSmallDisk();
  await using server = await startOn(disk, kept);
  const api = await newSession(server);
  await until("the ballast", () => ballastOn(disk));
  await disk.fill(40 * MIB);
  let stored = 0;
  for (;;) {
    // 4 MB each.
    const answer = await api.post(tokensBody({ tokens: 1000, size: 4000 }));
    if (answer.status === 503) break;
    await api.finished(answer.body.id);
    stored += 1;
  }
  expect(stored).toBeGreaterThan(0);
  // Somebody else takes the rest, down to the ballast.
  await disk.fill(0);
  await server.restart();
  await until("the ballast to be let go", () => !ballastOn(disk));
  // Retention is due after 6 s, and has to delete on a disk that has little room.
  await levelIs(server, 0, 20_000);
  // Less than ballast and mark together: what makes the difference lies inside the database.
  expect(disk.freeBytes()).toBeLessThan(24 * MIB);
  expect(server.exit()).toBeNull();
  const job = await api.submit(tokensBody());
  await api.finished(job.id);
  expectWhole(await api.log(job.id));
  await server.kill("SIGTERM");
  expect((await server.exited()).code).toBe(0);
  checkIntegrity(disk.path);
});

test("faults/R10: a start without a byte of room answers what it can, and goes on when there is some", async () => {
  await using disk = await openSmallDisk();
  await using server = await startOn(disk);
  const api = await newSession(server);
  const done = await api.submit(tokensBody());
  await api.finished(done.id);
  const running = await api.submit(tokensBody({ tokens: 100, intervalMs: 20 }));
  await api.inStatus(running.id, "running");
  await disk.fill(0);
  await until("the ballast to be let go", () => !ballastOn(disk));
  await disk.fill(0);
  await server.restart();
  expectWhole(await api.log(done.id));
  expectProblem(await api.post(tokensBody()), 503, "storage_unavailable");
  await disk.empty();
  expect((await api.finished(running.id)).status).toBe("succeeded");
  expectWhole(await api.log(running.id));
  await levelIs(server, 0);
  await api.finished((await api.submit(tokensBody())).id);
});
