/** The commands of an operator on PostgreSQL: what they say, and that none of them says the password. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { holdline, type Outcome } from "../cli/holdline.ts";
import { startPostgres, type PostgresServer } from "../support/postgres.ts";

const PASSWORD = "canary-9d41";

let server: PostgresServer;
let url: string;
beforeAll(async () => {
  server = await startPostgres();
  url = (await server.database()).replace("holdline@", `holdline:${PASSWORD}@`);
});
afterAll(() => server.remove());

async function said(...argv: string[]): Promise<Outcome> {
  const outcome = await holdline(argv, { env: { HOLDLINE_DATABASE_URL: url } });
  expect(outcome.out + outcome.err).not.toContain(PASSWORD);
  return outcome;
}

test("doctor reaches the server and names its version; migrate makes the tables once, and doctor counts them", async () => {
  expect((await said("doctor")).out).toMatch(
    /ok +database +127\.0\.0\.1:\d+\/test_1: PostgreSQL \d+.* first start/,
  );
  const made = await said("migrate", "--json");
  expect([made.code, (JSON.parse(made.out) as { applied: number[] }).applied.length > 0]).toEqual([0, true]);
  expect((await said("migrate")).out).toBe("The database is up to date.\n");
  expect((await said("doctor")).out).toMatch(/ok +database .*, schema \d+\n/);
});

test("jobs and tokens are there without a server", async () => {
  const secret = (await said("token", "worker")).out.trim();
  expect(secret).toStartWith("hlw_");
  expect((await said("token", "list")).out).toContain("worker");
  expect(await said("jobs", "list")).toMatchObject({ code: 0, err: "" });
});

test("backup and restore say whose task it is", async () => {
  const backup = await said("backup", "file.db");
  expect([backup.code, backup.err]).toEqual([1, expect.stringContaining("pg_dump") as string]);
  const restore = await said("restore", "/etc/hostname");
  expect([restore.code, restore.err]).toEqual([1, expect.stringContaining("pg_restore") as string]);
});

test("a server that cannot be reached, and a database that is not there, are named in words", async () => {
  const elsewhere = url.replace(/\/test_1$/, "/nowhere");
  const gone = url.replace(/:\d+\/test_1$/, ":1/test_1");
  for (const [databaseUrl, words] of [
    [elsewhere, 'database "nowhere" does not exist: make it'],
    [gone, "does it run, and is this its address (HOLDLINE_DATABASE_URL)?"],
    [url.replace("holdline:", "stranger:"), "look at the user in HOLDLINE_DATABASE_URL"],
    [`${url}?sslmode=require`, "take sslmode out of the URL"],
  ] as const) {
    const serve = await holdline(["serve"], {
      env: { HOLDLINE_DATABASE_URL: databaseUrl, HOLDLINE_PORT: "0" },
    });
    expect(serve.code).toBe(1);
    expect(serve.err).toContain(words);
    expect(serve.out + serve.err).not.toContain(PASSWORD);
    // One line in the log, one on stderr, and nowhere a place in the code.
    expect([serve.out, serve.err].map((text) => text.trim().split("\n").length)).toEqual([1, 1]);
    expect(serve.out).not.toContain("at async");
    const doctor = await holdline(["doctor"], { env: { HOLDLINE_DATABASE_URL: databaseUrl } });
    expect([doctor.code, doctor.out]).toEqual([1, expect.stringContaining(words) as string]);
  }
});
