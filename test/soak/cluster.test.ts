/**
 * Three nodes at work for minutes while one thing after the other is taken from them: a node, PostgreSQL, Redis, the
 * cable between a node and the rest (a network namespace). `SOAK_SECONDS` says for how long (180),
 * `SOAK_FAULT` which faults (a part of their names), `HOLDLINE_TEST_SEED` in which order.
 */
import { expect, test } from "bun:test";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { percentile } from "../../src/lib/percentile.ts";
import { withSeed } from "../faults/proxy.ts";
import { apiOf } from "../support/http.ts";
import { until } from "../support/wait.ts";
import { strikeAll } from "./cluster/faults.ts";
import { judgeDatabase, judgeJobs, judgeSessions } from "./cluster/judge.ts";
import { openScene, type Scene } from "./cluster/scene.ts";
import { workOverHttp, workOverSocket, type Accepted } from "./cluster/work.ts";
import { untilWell } from "./cluster/well.ts";

const SECONDS = Number(process.env["SOAK_SECONDS"] ?? 180);
const ONLY = process.env["SOAK_FAULT"] ?? "";
const SOCKETS = 24;
const READERS = 8;
const LIMIT_MS = (SECONDS + 300) * 1000;

function spread(values: readonly number[]): string {
  const sorted = values.toSorted((one, other) => one - other);
  return `${sorted.length}: p50 ${percentile(sorted, 0.5)} ms, p99 ${percentile(sorted, 0.99)} ms`;
}

function report(scene: Scene, restarts: ReadonlyMap<string, number[]>): void {
  const say = (text: string): void => void process.stdout.write(`${text}\n`);
  for (const name of new Set(scene.blows.map((blow) => blow.name))) {
    const blows = scene.blows.filter((blow) => blow.name === name);
    say(`${name}\n  well again after ${spread(blows.map(({ healedAt, wellAt }) => wellAt - healedAt))}`);
    const during = (at: number): boolean =>
      blows.some(({ struckAt, wellAt }) => at >= struckAt && at <= wellAt);
    const moves = scene.clients.flatMap((client) => client.moves).filter(({ lostAt }) => during(lostAt));
    if (moves.length > 0) say(`  sockets elsewhere after ${spread(moves.map(({ awayMs }) => awayMs))}`);
    const again = restarts.get(name);
    if (again !== undefined) say(`  jobs started again after ${spread(again)}`);
  }
}

/** Jobs whose end was not seen, with what was seen and what each node says of them. */
async function unfinished({ nodes }: Scene, accepted: readonly Accepted[]): Promise<string[]> {
  const open = accepted.filter((job) => job.deliveries().at(-1)?.events.at(-1)?.terminal !== true);
  return Promise.all(
    open.map(async (job) => {
      const { id, userToken } = job;
      const seen = job.deliveries().map(({ after, events }) => `${after}…${events.at(-1)?.seq}`);
      const told = nodes.map((node) =>
        apiOf(node, userToken)
          .job(id)
          .then(({ status, head, attempt }) => `${status} in run ${attempt} at ${head}`, String),
      );
      return `job ${id}: seen ${seen.join(", ")}; the nodes say ${(await Promise.all(told)).join(", ")}`;
    }),
  );
}

const MENDED = /^holdline_rooms_mended_total (\d+)$/m;

/** How many members looks found otherwise than known, and what of it no fault explains: a hint was lost, and nobody noticed. */
async function mended({ cluster, nodes, blows }: Scene): Promise<string[]> {
  return Promise.all(
    nodes.map(async (node, n) => {
      const { text } = await cluster.adminAt(node).call("GET", "/metrics");
      const found = node
        .logs()
        .filter(({ msg }) => String(msg).startsWith("members of rooms were otherwise"));
      const told = found.map(({ time, members }) => {
        const at = Date.parse(String(time)) || Number(time);
        const blow = blows.findLast(({ struckAt }) => struckAt <= at);
        const since =
          blow === undefined ? "before any fault" : `${at - blow.healedAt} ms after “${blow.name}”`;
        return `${String(members)} ${since}`;
      });
      return `node ${n}: ${MENDED.exec(text)?.[1]} members mended since its start; unasked ${told.join(", ") || "none"}`;
    }),
  );
}

/** What the nodes wrote, in files that stay; says where. */
async function keepLogs({ nodes }: Scene, seed: number): Promise<string> {
  const folder = join(tmpdir(), `holdline-soak-${seed}`);
  for (const [n, node] of nodes.entries()) await Bun.write(join(folder, `node-${n}.log`), node.output());
  return `what the nodes wrote is in ${folder}`;
}

test(
  "faults/R42 R43 R44 R45 R46: three nodes, and everything that they need is taken from them in turn",
  () =>
    withSeed(async (random, seed) => {
      await using scene = await openScene({ clients: SOCKETS, random });
      process.stdout.write(`HOLDLINE_TEST_SEED=${seed}\n`);
      const accepted: Accepted[] = [];
      let over = false;
      const isOver = (): boolean => over;
      const working = Promise.all([
        ...scene.clients.map((_, n) => workOverSocket(scene, n, isOver, accepted)),
        ...Array.from({ length: READERS }, (_, n) => workOverHttp(scene, n, isOver, accepted)),
      ]);
      await Promise.race([
        strikeAll(scene, Date.now() + SECONDS * 1000, ONLY),
        working.then(() => expect.unreachable("they work until it is over")),
      ])
        .catch(async (error: unknown) => {
          // Before what the end of the scene has to say of it.
          const said = [Bun.inspect(error), ...scene.flaws, ...(await unfinished(scene, accepted))];
          process.stdout.write(`${said.join("\n")}\n${await keepLogs(scene, seed)}\n`);
          throw error;
        })
        .finally(() => {
          over = true;
        });
      await working;
      await untilWell(scene);
      for (const job of accepted) {
        const hasEnd = (): boolean => job.deliveries().at(-1)?.events.at(-1)?.terminal === true;
        await until(`the end of job ${job.id}`, hasEnd, 60_000);
      }

      const { flaws, restarts } = await judgeJobs(scene, accepted);
      report(scene, restarts);
      process.stdout.write(`${(await mended(scene)).join("\n")}\n`);
      const events = scene.clients.reduce((sum, client) => sum + client.eventCount(), 0);
      process.stdout.write(`${accepted.length} jobs, ${events} frames, ${scene.blows.length} faults\n`);
      const found = [
        ...scene.flaws,
        ...flaws,
        ...judgeSessions(scene),
        ...(await judgeDatabase(scene, accepted.length)),
        ...scene.nodes.flatMap((node) => (node.exit() === null ? [] : ["a node ended by itself"])),
      ];
      if (found.length > 0) process.stdout.write(`${await keepLogs(scene, seed)}\n`);
      expect(found).toEqual([]);
      expect(scene.blows.length).toBeGreaterThan(0);
    }),
  LIMIT_MS,
);
