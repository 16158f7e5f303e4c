/** R48 with the kernel's own hand: a server in too little memory is killed for it, started again, and recovers. */
import { expect, test } from "bun:test";
import { checkIntegrity } from "../faults/disk/history.ts";
import { openMemoryCage } from "../faults/memory-cage.ts";
import { MIB, residentBytes } from "../faults/slow-support.ts";
import { newSession, tokensBody } from "../support/http.ts";
import { expectWhole } from "../support/log-checker.ts";
import { startServer } from "../support/server.ts";
import { until } from "../support/wait.ts";

/** Enough for a server and its jobs. */
const LIMIT_BYTES = 384 * MIB;
/** What a job loses before it has failed (lost leases). */
const BUDGET = 5;
const JOBS = 60;

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
  const jobs = await Promise.all(
    Array.from({ length: JOBS }, () => api.submit(tokensBody({ tokens: 20, size: 500, intervalMs: 25 }))),
  );
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
  for (const { id } of jobs) {
    expect((await api.finished(id)).status).toBe("succeeded");
    expectWhole(await api.log(id));
  }
  expectWhole(await api.log(greedy.id));
  const back = backMs.map((ms) => `${Math.round(ms)} ms`).join(", ");
  const rssMiB = Math.round((await residentBytes(server.pid)) / MIB);
  process.stdout.write(`R48: ${BUDGET} kills by the kernel, back after ${back}; ${rssMiB} MiB at the end\n`);
  await server.kill("SIGTERM");
  expect(await server.exited()).toEqual({ code: 0, signal: null });
  checkIntegrity(server.dataFolder);
}, 180_000);
