/** R21, R27: a worker that is killed and one that stalls, for as long as a lease lasts. */
import { expect, test } from "bun:test";
import { startExample } from "../support/example-worker.ts";
import { expectProblem, newSession } from "../support/http.ts";
import { expectWhole, textOf } from "../support/log-checker.ts";
import { startServer } from "../support/server.ts";
import { newWorker, textItem } from "../support/worker.ts";
import { until } from "../support/wait.ts";
import type { EventBody } from "../support/wire.ts";

const TYPES = { env: { HOLDLINE_WORKER_TYPES: "story,tone" } };
/** A lease and the sweep that finds it over, with time to spare for a busy machine. */
const LOST_LIMIT_MS = 40_000;
const TEST_LIMIT_MS = 90_000;

const WORDS = Array.from({ length: 30 }, (_, n) => `word${n}`).join(" ");
const story = (pauseMs: number) => ({ type: "story", input: { text: WORDS, pauseMs } });

const reasons = (log: readonly EventBody[]): (string | undefined)[] =>
  log.filter(({ kind }) => /retrying|reset/.test(kind)).map(({ data }) => data.reason);

test(
  "faults/R21 R27: a worker that is killed, and one that is late: others finish, nothing of the late one counts",
  async () => {
    await using server = await startServer(TYPES);
    const api = await newSession(server);
    const late = await newWorker(server, { name: "late", types: ["story"] });
    const [killed, stalled] = [await startExample(server, "worker.ts"), late];
    const { id } = await api.submit(story(60_000));
    await until("the first word", async () => (await api.output(id)).text !== "");
    killed.kill("SIGKILL");
    const killedMs = performance.now();
    // A job that is handed to the poll of the dead would come back without charge, and a run later.
    await until("its poll to be gone", async () => {
      const text = await (await fetch(`${server.url}/metrics`)).text();
      return /^holdline_worker_polls 0$/m.test(text);
    });

    // As a process that got SIGSTOP after its last heartbeat: it says nothing, and does not know that time goes by.
    const other = await api.submit(story(0));
    const run = await stalled.take({ types: ["story"] });
    expect(run.job.id).toBe(other.id);
    await run.text("half");

    const rescuer = await newWorker(server, { name: "rescuer", types: ["story"] });
    const seen = new Set<string>();
    while (seen.size < 2) {
      const next = await until(
        "the lost jobs to be leased again",
        async () => (await rescuer.lease({ waitMs: 10_000, max: 1 })).body.jobs?.[0],
        LOST_LIMIT_MS,
      );
      expect(next.attempt).toBe(2);
      seen.add(next.id);
      const again = rescuer.run(next);
      await again.output([textItem("whole")], 0);
      await again.complete({ by: "rescuer" });
    }
    expect(seen).toEqual(new Set([id, other.id]));
    expect(performance.now() - killedMs).toBeLessThan(LOST_LIMIT_MS);

    for (const answer of [await run.text("late"), await run.complete({ by: "late" }), await run.release()]) {
      expectProblem(answer, 409, "lease_lost");
    }
    expect((await run.beat()).body.leases).toEqual([{ job: other.id, status: "lost" }]);
    for (const one of [id, other.id]) {
      const log = await api.log(one);
      expectWhole(log);
      expect(reasons(log)).toEqual(["worker_lost", "worker_lost"]);
      expect(textOf(log)).toBe("whole");
      expect(await api.job(one)).toMatchObject({
        status: "succeeded",
        attempt: 2,
        result: { by: "rescuer" },
      });
    }
    expect(server.logs().filter(({ msg }) => msg === "a worker lost its lease")).toHaveLength(2);
  },
  TEST_LIMIT_MS,
);
