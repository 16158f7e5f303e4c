/** R48 with the kernel's own hand: a server in too little memory is killed for it, started again, and recovers. */
import { expect, test } from "bun:test";
import { checkIntegrity } from "../faults/disk/history.ts";
import { openMemoryCage } from "../faults/memory-cage.ts";
import { MIB, residentBytes } from "../faults/slow-support.ts";
import { newSession, tokensBody, type Api } from "../support/http.ts";
import { expectWhole } from "../support/log-checker.ts";
import { startServer } from "../support/server.ts";
import { letTimePass, until } from "../support/wait.ts";

/** Enough for a server and its jobs. */
const LIMIT_BYTES = 384 * MIB;
/** What a job loses before it has failed (lost leases). */
const BUDGET = 5;
/** One job each this often, and over well before the memory is: whoever runs always when it ends would spend as much. */
const EVERY_MS = 50;
const SHORT = { tokens: 10, size: 500, intervalMs: 20 };

interface Neighbours {
  /** Ids of all that were accepted, whatever the server was doing then; asks for no more. */
  stop(): Promise<string[]>;
}

/** Jobs that harm nobody, submitted all the while: each under a key, asked for until it is answered. */
function startNeighbours(api: Api): Neighbours {
  const answers: Promise<string>[] = [];
  let over = false;
  const ask = (key: string): Promise<string> =>
    until(
      `an answer to ${key}`,
      async () => {
        const answer = await api.post(tokensBody(SHORT), { "idempotency-key": key }).catch(() => null);
        return answer?.status === 202 && answer.body.id;
      },
      60_000,
    );
  const done = (async () => {
    while (!over) {
      answers.push(ask(`neighbour-${answers.length}`));
      await letTimePass(EVERY_MS);
    }
  })();
  return {
    async stop() {
      over = true;
      await done;
      return Promise.all(answers);
    },
  };
}

test("faults/R48 the kernel kills a server for its memory, again and again: each start recovers, and nothing is lost", async () => {
  await using cage = await openMemoryCage(LIMIT_BYTES);
  await using server = await startServer({
    program: "faults/odd-server.ts",
    under: cage.under,
    env: { HOLDLINE_TOKENS: "on" },
  });
  const api = await newSession(server);
  // It fits, and shows that it is not the type that fails.
  const modest = await api.submit({ type: "glutton", input: { mib: 32 } });
  expect((await api.finished(modest.id)).status).toBe("succeeded");
  const neighbours = startNeighbours(api);
  const greedy = await api.submit({ type: "glutton", input: { mib: 4096 } });
  const backMs: number[] = [];
  while (backMs.length < 2 * BUDGET) {
    const ended = async () => (await api.job(greedy.id).catch(() => null))?.terminal === true;
    await until(
      "an end of the job or of the server",
      async () => server.exit() !== null || (await ended()),
      30_000,
    );
    if (server.exit() === null) break;
    expect(server.exit()).toEqual({ code: null, signal: "SIGKILL" });
    const downMs = performance.now();
    await server.restart();
    backMs.push(performance.now() - downMs);
  }
  // It was the kernel, each time, and nobody else.
  expect(await cage.kills()).toBe(BUDGET);
  expect(backMs).toHaveLength(BUDGET);
  expect(await api.job(greedy.id)).toMatchObject({ status: "failed", error: { code: "worker_lost" } });
  const ids = await neighbours.stop();
  let met = 0;
  for (const id of ids) {
    const { status, attempt } = await api.finished(id);
    expect(status).toBe("succeeded");
    expectWhole(await api.log(id));
    if (attempt > 1) met += 1;
  }
  // The kills met jobs at work, or this test tested nothing.
  expect(met).toBeGreaterThan(0);
  expectWhole(await api.log(greedy.id));
  const back = backMs.map((ms) => `${Math.round(ms)} ms`).join(", ");
  const rssMiB = Math.round((await residentBytes(server.pid)) / MIB);
  const others = `${ids.length} other jobs, ${met} of them met by a kill`;
  process.stdout.write(
    `R48: ${BUDGET} kills by the kernel, back after ${back}; ${others}; ${rssMiB} MiB at the end\n`,
  );
  await server.kill("SIGTERM");
  expect(await server.exited()).toEqual({ code: 0, signal: null });
  checkIntegrity(server.dataFolder);
}, 180_000);
