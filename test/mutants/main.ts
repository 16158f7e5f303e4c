/**
 * `npm run test:mutants [-- R05 R30 …]`: builds each bug of mutants.ts into a copy of the product, runs the test of its
 * row there, and says which bugs nobody noticed. Ends with 1 when there is one.
 *
 * One at a time, since the tests measure: all of them take some twenty minutes. A test is run without its bug as well: one that fails anyway
 * would notice everything (`--quick` leaves that out).
 */
import { openWorkshop, type Workshop } from "../support/workshop.ts";
import { MUTANTS, type Mutant } from "./mutants.ts";

/** `null`: it passed. Otherwise what it said first. */
async function runTest(workshop: Workshop, { test, title }: Mutant): Promise<string | null> {
  const escaped = title.replaceAll(/[()[\].*+?]/g, String.raw`\$&`);
  const child = Bun.spawn(
    [process.execPath, "--no-env-file", "test", "--timeout=240000", `test/${test}`, "-t", escaped],
    { cwd: workshop.folder, stdout: "pipe", stderr: "pipe", stdin: "ignore" },
  );
  const [out, err, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  const said = Bun.stripANSI(`${err}\n${out}`);
  const ran = /^\((?:pass|fail)\)/m.test(said);
  if (!ran) throw new Error(`no test of test/${test} ran for “${title}”:\n${said.slice(-2000)}`);
  if (code === 0) return null;
  return /^(?:error|\w*Error|Expected|AssertionError)[:(].*$/m.exec(said)?.[0] ?? "it failed";
}

type Verdict = "noticed" | "SURVIVED" | "fails without it";

async function judge(
  workshop: Workshop,
  mutant: Mutant,
  sound: Map<string, boolean>,
): Promise<[Verdict, string]> {
  const key = `${mutant.test} ${mutant.title}`;
  if (!quick && !sound.has(key)) sound.set(key, (await runTest(workshop, mutant)) === null);
  if (sound.get(key) === false) return ["fails without it", ""];
  const said = await workshop.during(mutant, () => runTest(workshop, mutant));
  return said === null ? ["SURVIVED", ""] : ["noticed", said];
}

const quick = process.argv.includes("--quick");
const wanted = process.argv.slice(2).filter((word) => !word.startsWith("--"));
const chosen = MUTANTS.filter(({ rows }) => wanted.length === 0 || rows.some((row) => wanted.includes(row)));
const workshop = openWorkshop(["test", "bunfig.toml", "docs", "examples"]);
const sound = new Map<string, boolean>();
const bad: string[] = [];
try {
  for (const mutant of chosen) {
    const [verdict, said] = await judge(workshop, mutant, sound);
    if (verdict !== "noticed") bad.push(`${mutant.rows.join(" ")} ${mutant.name}`);
    process.stdout.write(
      `${mutant.rows.join(" ")}: ${mutant.name}: ${verdict}${said === "" ? "" : ` (${said.slice(0, 160)})`}\n`,
    );
  }
} finally {
  workshop.close();
}
process.stdout.write(`${chosen.length - bad.length} of ${chosen.length} noticed\n`);
for (const one of bad) process.stdout.write(`not: ${one}\n`);
process.exitCode = bad.length === 0 && chosen.length > 0 ? 0 : 1;
