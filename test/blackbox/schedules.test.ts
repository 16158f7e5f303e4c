/** Schedules in a real server (docs/protocol.md, "Schedules"): one job a tick through kills, and what operators see of it. */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { call } from "../support/http.ts";
import { adminOf, operate, operateJson } from "../support/operator.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { until } from "../support/wait.ts";
import type { JobBody } from "../support/wire.ts";

const SECOND = `[schedules.second]
cron = "* * * * * *"
type = "tokens"
input = { tokens = 1, size = 1, intervalMs = 0 }
metadata = { order = "17" }
`;

const YEARLY = `[schedules.yearly]
cron = "0 0 1 1 *"
time_zone = "Europe/Berlin"
type = "tokens"
user_id = "alice"
input = { tokens = 1, size = 1, intervalMs = 0 }
`;

interface Schedule {
  readonly name: string;
  readonly next: string;
  readonly last?: { readonly tick: string; readonly job: string };
}

/** Jobs of the schedule so far, oldest first. */
async function jobs(server: TestServer): Promise<JobBody[]> {
  const flags = ["--user", "schedule:second", "--limit", "200"];
  const page = await operateJson<{ items: JobBody[] }>(server, ["jobs", "list", ...flags]);
  return page.items.toReversed();
}

/** Commands run elsewhere; the file is the server's. */
const fileOf = (server: TestServer): string[] => ["--config", join(server.dataFolder, "../holdline.toml")];

const tickOf = (job: JobBody): number => Date.parse(job.metadata["tick"] ?? "");

test("a schedule has one job a tick, through kills at any moment", async () => {
  await using server = await startServer({ file: SECOND });
  for (const wanted of [2, 4, 6]) {
    await until(`${wanted} ticks`, async () => (await jobs(server)).length >= wanted, 20_000);
    await server.kill("SIGKILL");
    await server.restart();
  }
  await until(
    "8 ticks",
    async () => (await jobs(server)).filter(({ terminal }) => terminal).length >= 8,
    20_000,
  );
  const found = await jobs(server);
  const struck = found.map(tickOf);
  expect(new Set(struck).size).toBe(struck.length);
  expect(struck).toEqual(struck.toSorted((a, b) => a - b));
  for (const job of found) {
    expect(job.metadata).toMatchObject({ order: "17", schedule: "second" });
    // In its second, or at the start after a kill.
    expect(Date.parse(job.createdAt)).toBeGreaterThanOrEqual(tickOf(job));
  }
  // Ticks are missing where no server ran, and nowhere else: each gap ends with the one that was made up for.
  const gaps = struck.filter((tick, index) => index > 0 && tick - (struck[index - 1] ?? 0) > 1000);
  expect(gaps.length).toBeLessThanOrEqual(3);
}, 90_000);

test("operators see when a schedule strikes next and what it did last; others see nothing", async () => {
  await using server = await startServer({ file: SECOND + YEARLY });
  await until("a tick", async () => (await jobs(server)).length > 0);
  const admin = await adminOf(server);
  const { status, body } = await admin.call<{ items: Schedule[] }>("GET", "/v1/admin/schedules");
  expect(status).toBe(200);
  expect(body.items.map(({ name }) => name)).toEqual(["second", "yearly"]);
  const [second, yearly] = body.items;
  expect(Date.parse(second?.next ?? "") - Date.now()).toBeLessThan(1500);
  expect(second?.last?.job).toMatch(/^[0-9a-f-]{36}$/);
  expect(yearly).toMatchObject({ timeZone: "Europe/Berlin", userId: "alice", catchUp: "one" });
  expect(yearly?.next).toMatch(/-12-31T23:00:00.000Z$/);
  expect(yearly).not.toHaveProperty("last");
  expect((await call("GET", `${server.url}/v1/admin/schedules`)).status).toBe(401);
});

test("the command lists them beside a server and without one", async () => {
  await using server = await startServer({ file: YEARLY });
  const first = await operate(server, ["schedules", "list", ...fileOf(server)]);
  expect({ code: first.code, err: first.err }).toEqual({ code: 0, err: "" });
  expect(first.out).toMatch(
    /^NAME +CRON +ZONE +TYPE +NEXT +LAST +JOB\nyearly +0 0 1 1 \* +Europe\/Berlin +tokens +\S+Z +never\n$/,
  );
  await server.kill("SIGKILL");
  const { items } = await operateJson<{ items: Schedule[] }>(server, [
    "schedules",
    "list",
    ...fileOf(server),
  ]);
  expect(items).toMatchObject([{ name: "yearly" }]);
});

test("a schedule of a type that is not there, or with an input that its type refuses, ends the start in words", async () => {
  const starting = (file: string): Promise<unknown> => startServer({ file }).catch((error: unknown) => error);
  expect(String(await starting('[schedules.x]\ncron = "* * * * *"\ntype = "wrok"\n'))).toContain(
    'cannot start: [schedules.x] names the type "wrok", which is not served here',
  );
  const both =
    '[schedules.x]\ncron = "* * * * *"\ntype = "tokens"\n[schedules.y]\ncron = "* * * * *"\ntype = "no"\n';
  const told = String(await starting(both));
  expect(told).toContain("cannot start: 4 things are wrong:\n");
  for (const field of ["tokens", "size", "intervalMs"])
    expect(told).toContain(`\n  [schedules.x] has an input that its type refuses: input.${field}: `);
  expect(told).toContain('\n  [schedules.y] names the type "no", which is not served here');
});
