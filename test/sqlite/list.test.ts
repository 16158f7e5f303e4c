/** A list that looks for something rare among very many jobs: complete, in order, and the event loop goes on meanwhile. */
import { expect, test } from "bun:test";
import { Database } from "bun:sqlite";
import { join } from "node:path";
import { openInline, temporaryFolder } from "../conformance/storages.ts";
import { drive } from "../conformance/drive.ts";

const CROWD = 100_000;

test("what is rare is found among 100,000 jobs in steps that let others have their turn", async () => {
  const folder = await temporaryFolder();
  const storage = openInline(folder);
  const on = drive(storage.jobs);
  const model = await on.submit();
  const db = new Database(join(folder.path, "holdline.db"));
  const columns = db
    .query<{ name: string }, []>("PRAGMA table_info(jobs)")
    .all()
    .map(({ name }) => name);
  const changed: Record<string, string> = {
    num: "1000 + n",
    id: "printf('%s-%08d', 'copy', n)",
    user_id: "'user-' || (n % 3)",
    status: "CASE n % 20000 WHEN 7 THEN 'failed' ELSE 'succeeded' END",
    finished_at: "created_at",
    due: "NULL",
  };
  db.run(
    `WITH RECURSIVE counted (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counted WHERE n < ${CROWD})
     INSERT INTO jobs (${columns.join(", ")})
     SELECT ${columns.map((name) => changed[name] ?? name).join(", ")} FROM jobs, counted WHERE jobs.id = ?`,
    [model],
  );
  db.close();

  const rare = [80_007, 60_007, 40_007, 20_007, 7].map((n) => `copy-${String(n).padStart(8, "0")}`);
  const list = async (query: object): Promise<string[]> => {
    const all = { userId: null, status: null, type: null, before: null, limit: 50, ...query };
    return (await storage.jobs.list(all)).map(({ job }) => job.id);
  };
  let turns = 0;
  let counting = true;
  const count = (): void => {
    turns += 1;
    if (counting) setImmediate(count);
  };
  setImmediate(count);
  expect(await list({ status: "failed" })).toEqual(rare);
  counting = false;
  expect(turns).toBeGreaterThan(15);

  expect(await list({ status: "failed", limit: 2 })).toEqual(rare.slice(0, 2));
  expect(await list({ status: "failed", before: rare[1], limit: 2 })).toEqual(rare.slice(2, 4));
  expect(await list({ status: "failed", type: "nobody's" })).toEqual([]);
  expect(await list({ status: "failed", userId: "user-1" })).toEqual(
    rare.filter((id) => Number(id.slice(5)) % 3 === 1),
  );
  expect(await list({ type: "work", limit: 3 })).toEqual(
    [0, 1, 2].map((n) => `copy-${String(CROWD - n).padStart(8, "0")}`),
  );
  await storage.stop();
  await folder.remove();
});
