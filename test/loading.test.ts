/** What a start has to load before it serves: every module is time in which nobody is answered. */
import { expect, test } from "bun:test";
import { dirname, resolve } from "node:path";

const SRC = resolve(import.meta.dir, "../src");
const transpiler = new Bun.Transpiler({ loader: "ts" });

/** Every file and package that is there before the first line of `entry` runs; what is imported later is not. */
async function loadedBy(entry: string): Promise<Set<string>> {
  const seen = new Set<string>();
  const waiting = [resolve(SRC, entry)];
  for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
    if (seen.has(file)) continue;
    seen.add(file);
    if (!file.endsWith(".ts")) continue;
    for (const { path, kind } of transpiler.scanImports(await Bun.file(file).text())) {
      if (kind === "import-statement")
        waiting.push(path.startsWith(".") ? resolve(dirname(file), path) : path);
    }
  }
  return new Set([...seen].map((file) => file.replace(`${SRC}/`, "")));
}

test("a server without Redis and PostgreSQL does not load what speaks to them", async () => {
  const loaded = [...(await loadedBy("main.ts")), ...(await loadedBy("app.ts"))];
  expect(loaded).toContain("jobs/sqlite/store.ts");
  expect(
    loaded.filter((file) => /^ioredis$|redis\/connect|jobs\/postgres|storage\/postgres/.test(file)),
  ).toEqual([]);
});

test("the writer's thread loads what writes, and none of what serves", async () => {
  const loaded = await loadedBy("writer.ts");
  expect(loaded).toContain("jobs/sqlite/tables.ts");
  expect(
    [...loaded].filter((file) => /^(?:zod|pino|hono|jose|ioredis)|postgres|redis|^app\.ts/.test(file)),
  ).toEqual([]);
});
