/** The selftest on a PostgreSQL server: in a database of its own, which is gone afterwards. */
import { afterAll, expect, test } from "bun:test";
import { holdline, temporaryFolder } from "../cli/holdline.ts";
import { startPostgres } from "../support/postgres.ts";

const SECONDS = 20;

const server = await startPostgres();
afterAll(() => server.remove());

test(
  "faults/R03 on PostgreSQL: kills of the server lose, double and contradict nothing, and the database is left as it was",
  async () => {
    const url = await server.database();
    await using folder = await temporaryFolder();
    const argv = [
      "selftest",
      "--seconds",
      String(SECONDS),
      "--clients",
      "8",
      "--database-url",
      url,
      "--json",
    ];
    const { code, out, err } = await holdline(argv, { cwd: folder.path });
    expect({ code, err }).toEqual({ code: 0, err: "" });
    const report = JSON.parse(out) as { kills: number; accepted: number };
    expect(report).toMatchObject({ ok: true, lost: 0, duplicated: 0, gaps: 0, integrity: null, kept: null });
    expect(report).toMatchObject({ answered: report.accepted });
    expect(report.kills).toBeGreaterThan(1);
    expect(report.accepted).toBeGreaterThan(20);
    const left = await server.query(
      url,
      "SELECT datname FROM pg_database WHERE datname LIKE 'holdline_selftest%'",
    );
    expect(left).toEqual([]);
    const tables = await server.query(url, "SELECT 1 FROM pg_tables WHERE schemaname = 'public'");
    expect(tables).toEqual([]);
  },
  (SECONDS + 120) * 1000,
);

test("selftest says what is missing when it may not create a database, and leaves nothing behind", async () => {
  const url = await server.database();
  await server.query(url, "CREATE ROLE reader LOGIN");
  await using folder = await temporaryFolder();
  const own = new URL(url);
  own.username = "reader";
  const { code, err } = await holdline(["selftest", "--database-url", own.href], { cwd: folder.path });
  expect(code).toBe(1);
  expect(err).toContain("selftest needs a database of its own, and cannot create one: permission denied");
});
