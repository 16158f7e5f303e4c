/** How long a job waits whose node is killed: ten nodes die one after the other, each with a job at work. Prints its figures. */
import { expect, test } from "bun:test";
import { percentile } from "../../src/lib/percentile.ts";
import { startCluster } from "../support/cluster.ts";
import { apiOf, tokensBody } from "../support/http.ts";
import { until } from "../support/wait.ts";
import { LIMITS } from "../../src/protocol/limits.ts";

const ROUNDS = 10;
const ROUND_MS = 60_000;
/** Silence, two beats, and what a busy machine adds. */
const MOST_MS = LIMITS.nodeSilentMs + 2 * LIMITS.nodeBeatMs + 5000;

test(
  "faults/R46: a dead node's job is started again by another one within the silence and a beat",
  async () => {
    await using cluster = await startCluster();
    const survivor = await cluster.start();
    const mortal = await cluster.start();
    const mara = cluster.userToken("mara");
    const api = apiOf(survivor, mara);
    const waits: number[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      const { id } = await apiOf(mortal, mara).submit(tokensBody({ tokens: 100_000, intervalMs: 100 }));
      await api.inStatus(id, "running");
      // Somewhere between two beats.
      await until("some of its output", async () => (await api.job(id)).head > 2 + 3 * round);
      const killedAt = Date.now();
      await mortal.kill("SIGKILL");
      const started = await until(
        "the next attempt",
        async () => (await api.log(id)).find(({ kind, attempt }) => kind === "job.started" && attempt === 2),
        ROUND_MS,
      );
      waits.push(started.at - killedAt);
      await api.cancel(id);
      await api.finished(id);
      await mortal.restart();
    }
    const sorted = waits.toSorted((one, other) => one - other);
    const [p50, p99] = [percentile(sorted, 0.5), percentile(sorted, 0.99)];
    process.stdout.write(
      `from SIGKILL to job.started elsewhere, ${ROUNDS} rounds: p50 ${p50} ms, p99 ${p99} ms\n`,
    );
    expect(Math.max(...waits)).toBeLessThan(MOST_MS);
    expect(Math.min(...waits)).toBeGreaterThan(LIMITS.nodeSilentMs - LIMITS.nodeBeatMs - 1000);
  },
  ROUNDS * ROUND_MS,
);
