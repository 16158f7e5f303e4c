/**
 * R13, R47, R49: backups that are made while the server works, and put back: what is refused, what stays as it was, and
 * what clients are told that saw more than the backup knows. Real processes throughout.
 */
import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import {
  copyFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { readStoredLog } from "../../src/cli/selftest/server-side.ts";
import { openStorageBeside } from "../../src/storage.ts";
import { holdline, type TemporaryFolder, temporaryFolder } from "../cli/holdline.ts";
import { connect } from "../support/client.ts";
import { apiOf, newSession, tokensBody } from "../support/http.ts";
import { checkLog } from "../support/log-checker.ts";
import { operate, operateJson } from "../support/operator.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { until } from "../support/wait.ts";

const LIMIT_MS = 60_000;
/** Runs are released at once on SIGTERM: nothing here waits for a job to end. */
const QUICK_STOP = { HOLDLINE_DRAIN_MS: "1" };
const ENDLESS = tokensBody({ tokens: 100_000, size: 8, intervalMs: 10 });

const backupOf = ({ dataFolder }: TestServer): string => join(dirname(dataFolder), "backup.db");
const databaseOf = ({ dataFolder }: TestServer): string => join(dataFolder, "holdline.db");

async function backUp(server: TestServer, ...flags: string[]): Promise<string> {
  const file = backupOf(server);
  const { code, err } = await operate(server, ["backup", file, ...flags]);
  expect({ code, err }).toEqual({ code: 0, err: "" });
  return file;
}

async function stop(server: TestServer): Promise<void> {
  await server.kill("SIGTERM");
  expect((await server.exited()).code).toBe(0);
}

/** Every file of a folder with its content, to see that nothing was touched; not what says who is looking just now. */
function contentOf(folder: string): Record<string, string> {
  const files = readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isFile() && !/\.lock|-shm$/.test(entry.name))
    .map(({ name }) => [name, readFileSync(join(folder, name))] as const)
    .filter(([name, content]) => !(name.endsWith("-wal") && content.length === 0));
  return Object.fromEntries(files.map(([name, content]) => [name, Bun.hash(content).toString(36)]));
}

/** A server with one job that ended and one that does not, a backup of it, and a client that saw more than the backup has. */
async function aheadOfBackup() {
  const server = await startServer({ env: QUICK_STOP });
  const client = await connect(server);
  const api = apiOf(server, client.token);
  const ended = await api.submit(tokensBody({ tokens: 3 }));
  await api.finished(ended.id);
  const log = await api.log(ended.id);
  const running = await api.submit(ENDLESS);
  await client.waitForEvent(running.id, "some words", ({ seq }) => seq >= 10);
  const file = await backUp(server);
  const copied = Math.max(...client.events(running.id).map(({ seq }) => seq));
  const seen = await client.waitForEvent(running.id, "more words", ({ seq }) => seq >= copied + 20);
  await stop(server);
  return {
    server,
    file,
    token: client.token,
    ended: { id: ended.id, log },
    running: { id: running.id, copied, seen: seen.seq },
  };
}

/** What everybody is told after the restore, whichever way the backup came back. */
async function expectTold({ server, token, ended, running }: Awaited<ReturnType<typeof aheadOfBackup>>) {
  const api = apiOf(server, token);
  expect(await api.log(ended.id)).toEqual(ended.log);
  expect(await api.job(running.id)).toMatchObject({
    status: "failed",
    error: { code: "restored", retryable: true },
  });

  // Nobody can be given an entry that he has seen otherwise: the log goes on where no run ever gets.
  for (const [after, reason] of [
    [running.seen, "ahead"],
    [running.copied + 1, "ahead"],
    [1, "trimmed"],
    [0, "trimmed"],
  ] as const) {
    await using client = await connect(server, { token });
    const attached = await client.attach(running.id, after);
    expect(attached).toMatchObject({
      type: "attached",
      after,
      recovered: false,
      reason,
      terminal: true,
      status: "failed",
    });
    expect(attached.output).toMatchObject({ text: "", data: [] });
    const end = await client.waitForEnd(running.id);
    expect(client.events(running.id)).toHaveLength(1);
    expect(end).toMatchObject({
      kind: "job.failed",
      first: (attached.output?.seq ?? 0) + 1,
      data: { error: { code: "restored" } },
    });
    expect(end.seq).toBeGreaterThan(4_000_000);
    const page = await api.call("GET", `/v1/jobs/${running.id}/events?after=${after}`);
    expect({ status: page.status, code: page.body.code, reason: page.body.reason }).toEqual({
      status: 410,
      code: "cursor_expired",
      reason,
    });
  }

  // Whoever wants it again hands it in again.
  const again = await api.call<{ id: string; retryOf: string }>("POST", `/v1/jobs/${running.id}/retry`);
  expect(again).toMatchObject({ status: 202, body: { retryOf: running.id } });
  await api.inStatus(again.body.id, "running");
}

test(
  "faults/R47: after a restore, clients ahead of the log are told so, and never get other events under old numbers",
  async () => {
    const scene = await aheadOfBackup();
    await using server = scene.server;
    const done = await operateJson<{ jobs: number; endedJobs: number; replaced: string }>(server, [
      "restore",
      scene.file,
    ]);
    expect(done).toMatchObject({ jobs: 2, endedJobs: 1 });
    // What was replaced is there, whole, and can be looked into.
    const before = new Database(done.replaced, { readonly: true });
    expect(before.query("SELECT count(*) AS jobs FROM jobs").get()).toEqual({ jobs: 2 });
    before.close();
    await server.restart();
    await expectTold(scene);
  },
  LIMIT_MS,
);

test(
  "faults/R47: a backup that was put into its place by hand is noticed at the start, and as safe",
  async () => {
    const scene = await aheadOfBackup();
    await using server = scene.server;
    copyFileSync(scene.file, databaseOf(server));
    await server.restart();
    await expectTold(scene);
    // Noticed once: a later start ends nothing more.
    const api = apiOf(server, scene.token);
    const open = await api.submit(ENDLESS);
    await server.restart();
    expect((await api.job(open.id)).terminal).toBe(false);
  },
  LIMIT_MS,
);

test(
  "faults/R13: a restore beside the log of another database is refused, and forced it puts both aside",
  async () => {
    await using server = await startServer({ env: QUICK_STOP });
    const api = await newSession(server);
    const { id } = await api.submit(tokensBody({ tokens: 5 }));
    await api.finished(id);
    const file = await backUp(server);
    const { id: later } = await api.submit(tokensBody({ tokens: 5 }));
    await api.finished(later);

    const live = await operate(server, ["restore", file]);
    expect(live.code).toBe(1);
    expect(live.err).toContain("another holdline server is using this data folder");
    expect((await api.job(later)).status).toBe("succeeded");

    await server.kill("SIGKILL");
    expect(statSync(`${databaseOf(server)}-wal`).size).toBeGreaterThan(0);
    const untouched = contentOf(server.dataFolder);
    const refused = await operate(server, ["restore", file]);
    expect(refused.code).toBe(1);
    expect(refused.err).toContain("holdline.db-wal");
    expect(refused.err).toContain("--force");
    expect(contentOf(server.dataFolder)).toEqual(untouched);

    // The same the other way round: a file that was copied while a server wrote to it.
    writeFileSync(`${file}-wal`, "the rest of it");
    const half = await operate(server, ["restore", file, "--force"]);
    expect(half.code).toBe(1);
    expect(half.err).toContain("is not whole");
    expect(contentOf(server.dataFolder)).toEqual(untouched);
    await Bun.file(`${file}-wal`).delete();

    const { replaced } = await operateJson<{ replaced: string }>(server, ["restore", file, "--force"]);
    expect(existsSync(`${databaseOf(server)}-wal`)).toBe(false);
    expect(statSync(`${replaced}-wal`).size).toBeGreaterThan(0);
    await server.restart();
    expect((await api.job(id)).status).toBe("succeeded");
    expect((await api.call("GET", `/v1/jobs/${later}`)).status).toBe(404);
    // Nothing was lost: the database before and its log still make one.
    const before = new Database(replaced);
    expect(before.query("SELECT count(*) AS jobs FROM jobs").get()).toEqual({ jobs: 2 });
    before.close();
  },
  LIMIT_MS,
);

test(
  "faults/R13: what is no backup, or no longer one, is refused, and the database stays as it was",
  async () => {
    await using server = await startServer({ env: QUICK_STOP });
    const api = await newSession(server);
    for (let n = 0; n < 20; n += 1) await api.submit(tokensBody({ tokens: 50, size: 100 }));
    const { id } = await api.submit(tokensBody());
    await api.finished(id);
    const file = await backUp(server);
    await stop(server);
    const untouched = contentOf(server.dataFolder);
    const broken = join(dirname(file), "broken.db");
    const other = new Database(join(dirname(file), "other.db"));
    other.run("CREATE TABLE jobs (id INTEGER)");
    other.close();

    const files: [make: () => string, words: string][] = [
      [() => join(dirname(file), "missing.db"), "there is no file"],
      [() => dirname(file), "is not a file"],
      [() => join(dirname(file), "other.db"), "is a database, and not one of Holdline"],
      [
        () => (writeFileSync(broken, "not a database at all, whatever its name says".repeat(100)), broken),
        "is no backup of Holdline",
      ],
      [
        () => (copyFileSync(file, broken), truncateSync(broken, statSync(file).size - 20_000), broken),
        "damaged",
      ],
      [
        () => {
          const bytes = readFileSync(file);
          bytes.fill(0xa5, Math.floor(bytes.length / 2), Math.floor(bytes.length / 2) + 8192);
          writeFileSync(broken, bytes);
          return broken;
        },
        "damaged",
      ],
      [() => databaseOf(server), "is the database itself"],
    ];
    for (const [make, words] of files) {
      const { code, err } = await operate(server, ["restore", make()]);
      expect({ code, err }).toEqual({ code: 1, err: expect.stringContaining(words) as string });
      expect(contentOf(server.dataFolder)).toEqual(untouched);
    }
  },
  LIMIT_MS,
);

test("a backup never replaces a file unasked, is its owner's alone, and leaves nothing behind when it fails", async () => {
  await using server = await startServer();
  const file = await backUp(server);
  expect(statSync(file).mode & 0o777).toBe(0o600);
  const before = contentOf(dirname(file));
  for (const [argv, words] of [
    [[file], "--force"],
    [[databaseOf(server), "--force"], "is the database itself"],
    [[join(dirname(file), "nowhere", "x.db")], "there is no folder"],
  ] as const) {
    const { code, err } = await operate(server, ["backup", ...argv]);
    expect({ code, err }).toEqual({ code: 1, err: expect.stringContaining(words) as string });
  }
  expect(contentOf(dirname(file))).toEqual(before);
  const api = await newSession(server);
  await api.finished((await api.submit(tokensBody())).id);
  await backUp(server, "--force");
  expect(contentOf(dirname(file))).not.toEqual(before);
  expect(Object.keys(contentOf(dirname(file)))).toEqual(Object.keys(before));
  const inMemory = await holdline(["backup", "x.db", "--database-url", "sqlite::memory:"]);
  expect(inMemory).toMatchObject({
    code: 1,
    err: expect.stringContaining("in the memory of the server") as string,
  });
});

test(
  "a backup that is made under load is one moment of it: every log is whole",
  async () => {
    await using server = await startServer();
    const api = await newSession(server);
    let over = false;
    const load = (async () => {
      for (; !over;) await api.submit(tokensBody({ tokens: 40, size: 16, intervalMs: 2 }));
    })();
    await until(
      "jobs to be under way",
      async () => (await api.call<{ items: unknown[] }>("GET", "/v1/jobs")).body.items.length > 30,
    );
    const files: string[] = [];
    for (let n = 0; n < 3; n += 1) {
      const file = join(dirname(server.dataFolder), `backup-${n}.db`);
      await operateJson(server, ["backup", file]);
      files.push(file);
    }
    over = true;
    await load;
    for (const file of files) {
      const storage = await openStorageBeside({
        databaseUrl: `sqlite:${file}`,
        dataDir: server.dataFolder,
        durability: "process",
      });
      const list = await storage.jobs.list({
        userId: null,
        status: null,
        type: null,
        before: null,
        limit: 100_000,
      });
      expect(list.length).toBeGreaterThan(30);
      for (const { job } of list) {
        const log = (await readStoredLog(storage, job.id)) ?? [];
        expect({ flaws: checkLog(log as never, job.finishedAt !== null), head: log.length }).toEqual({
          flaws: [],
          head: job.head,
        });
      }
      await storage.stop();
    }
  },
  LIMIT_MS,
);

test("a damaged database is not backed up", async () => {
  await using server = await startServer({ env: QUICK_STOP });
  const api = await newSession(server);
  await api.finished((await api.submit(tokensBody({ tokens: 500, size: 500 }))).id);
  await stop(server);
  const path = databaseOf(server);
  const bytes = readFileSync(path);
  bytes.fill(0xa5, Math.floor(bytes.length / 2));
  writeFileSync(path, bytes);
  const { code, err } = await operate(server, ["backup", backupOf(server)]);
  expect({ code, err }).toEqual({ code: 1, err: expect.stringContaining("is damaged") as string });
  expect(existsSync(backupOf(server))).toBe(false);
});

/** A data folder whose database a version to come has made. */
async function newerInstallation(folder: TemporaryFolder): Promise<{ dataDir: string; file: string }> {
  const dataDir = join(folder.path, "data");
  expect((await holdline(["migrate", "--data-dir", dataDir])).code).toBe(0);
  const db = new Database(join(dataDir, "holdline.db"));
  db.run(
    "INSERT INTO schema_migrations (number, name, applied_at) VALUES (99, 'of_the_future', '2030-01-01')",
  );
  db.close(true);
  const file = join(folder.path, "newer.db");
  copyFileSync(join(dataDir, "holdline.db"), file);
  return { dataDir, file };
}

test(
  "faults/R49: every command that opens the database refuses one of a newer version, and changes nothing",
  async () => {
    await using folder = await temporaryFolder();
    const { dataDir, file } = await newerInstallation(folder);
    const before = contentOf(dataDir);
    const commands = [
      ["serve", "--port", "0"],
      ["migrate"],
      ["backup", join(folder.path, "backup.db")],
      ["jobs", "list"],
      ["jobs", "show", "01890a5d-ac96-774b-bcce-b302099a8057"],
      ["jobs", "cancel", "01890a5d-ac96-774b-bcce-b302099a8057"],
      ["sessions", "list"],
      ["token", "list"],
      ["token", "admin", "--name", "ops"],
    ];
    for (const argv of commands) {
      const { code, err } = await holdline([...argv, "--data-dir", dataDir]);
      expect({ argv, code, err }).toEqual({
        argv,
        code: 1,
        err: expect.stringContaining("the database has schema 99") as string,
      });
      expect(contentOf(dataDir)).toEqual(before);
    }
    // A backup of a newer version does not get into the place of an older database either.
    const fresh = join(folder.path, "fresh");
    await holdline(["migrate", "--data-dir", fresh]);
    const untouched = contentOf(fresh);
    const { code, err } = await holdline(["restore", file, "--data-dir", fresh]);
    expect(code).toBe(1);
    expect(err).toContain("the database has schema 99");
    expect(contentOf(fresh)).toEqual(untouched);
  },
  LIMIT_MS,
);
