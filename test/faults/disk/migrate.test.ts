/** R49: a migration that is killed at any write goes on, and a schema of a newer version is refused. */
import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SQLITE_MIGRATIONS } from "../../../src/sqlite/migrations.ts";
import { requireService } from "../../services.ts";
import { newSession, tokensBody } from "../../support/http.ts";
import { program } from "../../support/program.ts";
import { startServer } from "../../support/server.ts";
import { within } from "../../support/wait.ts";
import { checkIntegrity } from "./history.ts";

const LIMIT_MS = 60_000;

/** `holdline migrate`, killed at its n-th call of these when `kill` says so; the exit code, or null when it was killed. */
async function migrate(
  dataDir: string,
  kill: { readonly calls: string; readonly at: number } | null,
): Promise<number | null> {
  const tracer =
    kill === null
      ? []
      : [
          "strace",
          "-f",
          "-qq",
          "-o",
          "/dev/null",
          "-e",
          `trace=${kill.calls}`,
          "-e",
          `inject=${kill.calls}:signal=SIGKILL:when=${kill.at}`,
        ];
  const child = Bun.spawn([...tracer, ...program("migrate")], {
    cwd: tmpdir(),
    env: { PATH: process.env["PATH"] ?? "", HOLDLINE_DATA_DIR: dataDir },
    stdout: "ignore",
    stderr: "pipe",
  });
  const code = await within("the migration to end", child.exited, LIMIT_MS);
  if (child.signalCode !== null || code === 137) return null;
  if (code !== 0) throw new Error(`migrate ended with ${code}: ${await new Response(child.stderr).text()}`);
  return code;
}

test.each(["pwrite64", "fsync"])(
  "faults/R49: a migration killed at each %s goes on, on what was left",
  async (calls) => {
    requireService("strace");
    const folder = await mkdtemp(join(tmpdir(), "holdline-test-"));
    try {
      // One folder for all kills: each run begins with what the one before left behind.
      let kills = 0;
      for (let at = 1; (await migrate(folder, { calls, at })) === null; at += at < 8 ? 1 : 7) kills += 1;
      expect(kills).toBeGreaterThan(2);
      expect(await migrate(folder, null)).toBe(0);
      using db = new Database(join(folder, "holdline.db"));
      expect(db.query("SELECT number FROM schema_migrations ORDER BY number").all()).toEqual(
        SQLITE_MIGRATIONS.map(({ number }) => ({ number })),
      );
      checkIntegrity(folder);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  },
  LIMIT_MS,
);

test("faults/R49: a server refuses the schema of a newer one with a sentence, and touches nothing", async () => {
  await using server = await startServer();
  const api = await newSession(server);
  const { id } = await api.submit(tokensBody());
  await api.finished(id);
  await server.kill("SIGTERM");
  await server.exited();
  const path = join(server.dataFolder, "holdline.db");
  const mark = (statement: string): void => {
    using db = new Database(path);
    db.run(statement);
  };
  mark("INSERT INTO schema_migrations VALUES (9999, 'future', 'now')");
  const before = await Bun.file(path).bytes();
  const failure = await server.restart().catch((error: Error) => error.message);
  expect(failure).toMatch(
    /the database has schema 9999, this version knows \d+: start a newer version, or restore a backup/,
  );
  expect((await server.exited()).code).toBe(1);
  expect(Bun.deepEquals(await Bun.file(path).bytes(), before)).toBe(true);
  mark("DELETE FROM schema_migrations WHERE number = 9999");
  await server.restart();
  expect((await api.job(id)).status).toBe("succeeded");
});
