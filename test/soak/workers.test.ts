/** Faults of remote workers that take the time of a lease each: a process that is stopped, a restart nobody outlived. */
import { expect, test } from "bun:test";
import { startExample } from "../support/example-worker.ts";
import { newSession } from "../support/http.ts";
import { textOf } from "../support/log-checker.ts";
import { startServer } from "../support/server.ts";
import { handWorker, newWorker, textItem } from "../support/worker.ts";
import { until } from "../support/wait.ts";

const TYPES = { env: { HOLDLINE_WORKER_TYPES: "story,tone" } };
/** A lease and the sweep that finds it over, with time to spare for a busy machine. */
const LOST_LIMIT_MS = 40_000;
const TEST_LIMIT_MS = 90_000;

const WORDS = Array.from({ length: 30 }, (_, n) => `word${n}`).join(" ");
const story = (pauseMs: number) => ({ type: "story", input: { text: WORDS, pauseMs } });

test(
  "faults/R21: a worker process under SIGSTOP goes on afterwards and finds that its job is another's",
  async () => {
    await using server = await startServer(TYPES);
    const api = await newSession(server);
    const stopped = await startExample(server, "worker.py");
    const { id } = await api.submit(story(200));
    await until("the first word", async () => (await api.output(id)).text !== "");
    stopped.kill("SIGSTOP");
    const rescuer = await newWorker(server, { types: ["story"] });
    const next = await until(
      "the job to be leased again",
      async () => (await rescuer.lease({ waitMs: 10_000 })).body.jobs?.[0],
      LOST_LIMIT_MS,
    );
    expect(next).toMatchObject({ id, attempt: 2 });
    const run = rescuer.run(next);
    await run.output([textItem("mine")], 0);
    stopped.kill("SIGCONT");
    await until("the stopped worker to notice", () => stopped.said().includes("the lease is lost"));
    await run.complete("mine");
    expect(await api.job(id)).toMatchObject({ status: "succeeded", attempt: 2, result: "mine" });
    expect(textOf(await api.log(id))).toBe("mine");
    await stopped[Symbol.asyncDispose]();
  },
  TEST_LIMIT_MS,
);

test(
  "a server that is killed, and whose workers are gone, gives a lease nobody was heard of back for free",
  async () => {
    await using server = await startServer({
      env: { ...TYPES.env, HOLDLINE_MAX_LOST_LEASES: "1" },
    });
    const api = await newSession(server);
    const worker = await newWorker(server, { types: ["story"] });
    const { id } = await api.submit(story(0));
    const unheard = await worker.lease();
    expect(unheard.body.jobs?.[0]?.id).toBe(id);
    await server.restart();
    // It was never heard of, so it costs nothing, though the budget is one.
    const again = await until(
      "the job to be leased again",
      async () =>
        (await handWorker(server, worker.token, { types: ["story"] }).lease({ waitMs: 10_000 })).body
          .jobs?.[0],
      LOST_LIMIT_MS,
    );
    expect(again).toMatchObject({ id, attempt: 2 });
    await worker.run(again).complete();
  },
  TEST_LIMIT_MS,
);
