/** R44: a connection that comes when it was given up already. What was refused meanwhile is not stored by it. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { Unanswered } from "../../src/postgres/connection.ts";
import { createLine } from "../../src/postgres/line.ts";
import { startPostgresWriter } from "../../src/postgres/writer.ts";
import { createSystemClock, type Clock } from "../../src/lib/clock.ts";
import { openStorage } from "../../src/storage.ts";
import { failureOf } from "../conformance/failure.ts";
import { temporaryFolder } from "../cli/holdline.ts";
import { startPostgres, type PostgresServer } from "../support/postgres.ts";
import { until } from "../support/wait.ts";
import { openCommitCutter } from "./commit-cutter.ts";

let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server.remove());

/** The database has seconds to answer in; here it has a moment. */
const MOMENT_MS = 200;

test("faults/R44: a write that was refused since nobody could be reached is not carried out when somebody can", async () => {
  const databaseUrl = await server.database();
  await using folder = await temporaryFolder();
  await (await openStorage({ databaseUrl, dataDir: folder.path, durability: "process" })).stop();
  await using wire = await openCommitCutter(databaseUrl);
  const system = createSystemClock();
  const clock: Clock = {
    ...system,
    after: (delayMs, run) => system.after(Math.min(delayMs, MOMENT_MS), run),
  };
  const carriedOut: unknown[] = [];
  const writer = await startPostgresWriter({
    url: wire.url,
    durability: "process",
    id: "late",
    claim: null,
    keepsTime: false,
    participants: {
      notes: {
        async execute(commands) {
          carriedOut.push(...commands);
          return commands.map((value) => ({ ok: true as const, value }));
        },
        ended: () => {},
      },
    },
    clock,
    logger: null,
  });
  expect(await writer.write("notes", "before")).toBe("before");
  wire.hold();
  // The first one finds its connection broken; the second one asks for another, which does not come in time.
  for (const note of ["broken", "late"])
    expect((await failureOf(writer.write("notes", note))).message).toContain("Nothing was stored");
  wire.letGo();
  await until("the database to be back", () => writer.write("notes", "after").catch(() => null));
  // Behind it on the same connection, if it were still under way.
  expect(await writer.write("notes", "last")).toBe("last");
  expect(carriedOut).toEqual(["before", "after", "last"]);
  await writer.stop();
});

test("a connection that was given up while it was being opened is closed when it comes", async () => {
  const databaseUrl = await server.database();
  await using wire = await openCommitCutter(databaseUrl);
  const prepared: string[] = [];
  const line = createLine(wire.url, async (connection) => {
    const [row] = await connection.unsafe("SELECT 'prepared' AS word");
    prepared.push(String(row?.["word"]));
  });
  wire.hold();
  const late = failureOf(line.get());
  line.drop();
  const wanted = line.get();
  wire.letGo();
  expect(await late).toBeInstanceOf(Unanswered);
  expect(await line.get()).toBe(await wanted);
  expect(prepared).toEqual(["prepared"]);
  const others = "SELECT count(*)::int AS n FROM pg_stat_activity WHERE application_name = 'holdline'";
  await until(
    "one connection to be left",
    async () => (await server.query(databaseUrl, others))[0]?.["n"] === 1,
  );
  line.drop();
  await until("none to be left", async () => (await server.query(databaseUrl, others))[0]?.["n"] === 0);
});
