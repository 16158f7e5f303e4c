/** R22, R23: what stands in front of a rescue, and what meets it. On the SQLite driver, its rows broken behind its back. */
import { afterAll, expect, test } from "bun:test";
import { Database } from "bun:sqlite";
import { join } from "node:path";
import { openThreaded, temporaryFolder } from "../conformance/storages.ts";
import { drive } from "../conformance/drive.ts";
import { checkLog } from "../support/log-checker.ts";
import type { EventData } from "../support/wire.ts";

const folder = await temporaryFolder();
afterAll(() => folder.remove());
const file = join(folder.path, "data", "holdline.db");

/** Copies of one row, older than it and overdue for longer, with what no program can make sense of. */
function crowdInFront(id: string, count: number): void {
  const db = new Database(file);
  db.run("PRAGMA busy_timeout = 5000");
  const columns = db
    .query<{ name: string }, []>("PRAGMA table_info(jobs)")
    .all()
    .map(({ name }) => name);
  const changed: Record<string, string> = {
    num: "-n",
    id: "'broken-' || n",
    metadata: "CASE n % 2 WHEN 0 THEN '{' ELSE metadata END",
    // A lease on what has ended means nothing.
    status: "CASE n % 2 WHEN 0 THEN status ELSE 'succeeded' END",
    lease_by: "lease_by - 1000",
  };
  const values = columns.map((name) => changed[name] ?? name).join(", ");
  db.run(
    `WITH RECURSIVE counted (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counted WHERE n < ?)
     INSERT INTO jobs (${columns.join(", ")}) SELECT ${values} FROM jobs, counted WHERE jobs.id = ?`,
    [count, id],
  );
  db.close();
}

const CROWD = 10_000;

test("faults/R23 what is behind 10,000 rows that cannot be rescued is rescued, by a sweep and at a start", async () => {
  const storage = await openThreaded(folder);
  const on = drive(storage.jobs);
  const held = await on.started({ owner: "worker:gone", leaseMs: 1000 });
  crowdInFront(held.id, CROWD);
  on.pass(1000);
  let stuck = 0;
  let steps = 0;
  for (let busy = true; busy; steps += 1) {
    expect(steps).toBeLessThan(CROWD / 100);
    const step = await on.execute("sweep", {
      owner: "boot:node:this",
      maxLostLeases: 5,
      most: 200,
      random: 0.5,
    });
    ({ busy } = step);
    stuck += step.stuck.length;
  }
  expect(stuck).toBe(CROWD);
  expect(await on.job(held.id)).toMatchObject({ status: "retrying" });
  expect(
    await on.execute("sweep", { owner: "boot:node:this", maxLostLeases: 5, most: 200, random: 0.5 }),
  ).toEqual({
    busy: false,
    stuck: [],
  });

  const run = await on.started({ owner: "boot:node:before" });
  const db = new Database(file);
  db.run("PRAGMA busy_timeout = 5000");
  db.run("UPDATE jobs SET lease_by = 1, lease_owner = 'boot:node:before' WHERE num < 0");
  db.close();
  let recovered = 0;
  for (let busy = true; busy;) {
    const step = await on.recover({ owner: "boot:node:this", maxLostLeases: 5 });
    ({ busy } = step);
    recovered += step.recovered;
  }
  expect(recovered).toBe(1);
  expect(await on.job(run.id)).toMatchObject({ status: "retrying" });
  await storage.stop();
}, 60_000);

test("faults/R22 a rescue and a completion in one moment: one of them happens, the log has one end", async () => {
  const storage = await openThreaded(folder);
  const on = drive(storage.jobs);
  const outcomes = new Set<string>();
  for (let round = 0; round < 40; round += 1) {
    const run = await on.started({ owner: "worker:slow", leaseMs: 1000 });
    await on.text(run, "so far");
    on.pass(1000);
    const sweep = () =>
      on.execute("sweep", { owner: "boot:node:this", maxLostLeases: 5, most: 200, random: 0.5 });
    // Both in one turn of the loop, in either order: one transaction holds them.
    const [end] = await (round % 2 === 0
      ? Promise.all([on.succeed(run, "done"), sweep()])
      : Promise.all([sweep(), on.succeed(run, "done")]).then(([, ended]) => [ended] as const));
    const { status } = await on.job(run.id);
    expect([`succeeded succeeded`, `lease_lost retrying`]).toContain(`${end} ${status}`);
    outcomes.add(status);
    if (status === "retrying") {
      // The newer run stands, and what the older one still says changes nothing.
      const again = await on.again(run.id, { owner: "boot:node:this" });
      expect(await on.text(run, "late")).toBe("lease_lost");
      expect(await on.succeed(again, "second")).toBe("succeeded");
      expect(await on.succeed(run, "first")).toBe("lease_lost");
      expect((await on.last(run.id)).data).toEqual({ result: "second" });
    }
    const log = await on.log(run.id);
    const read = log.map(({ seq, attempt, at, kind, data }) => {
      const parsed = JSON.parse(data as string) as EventData;
      return { job: run.id, seq, attempt, at, kind, data: parsed };
    });
    expect(checkLog(read)).toEqual([]);
  }
  expect(outcomes).toEqual(new Set(["succeeded", "retrying"]));
  await storage.stop();
}, 60_000);
