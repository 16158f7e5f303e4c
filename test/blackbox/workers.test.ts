/** Remote workers (PROTOCOL section 6): what they lease, write and end is what the job's user sees. */
import { beforeAll, describe, expect, test } from "bun:test";
import { expectProblem, newSession, type Api } from "../support/http.ts";
import { adminOf } from "../support/operator.ts";
import { sharedServer } from "../support/server.ts";
import { expectShape } from "../support/shape.ts";
import { handWorker, newWorker, textItem, waiting, type HandWorker, type Run } from "../support/worker.ts";
import { until, within } from "../support/wait.ts";

const server = sharedServer({ env: { HOLDLINE_WORKER_TYPES: "render,paint,slow" } });
let user: Api;
let worker: HandWorker;
beforeAll(async () => {
  user = await newSession(server());
  worker = await newWorker(server());
});

/** A job of a type that nobody else of this file waits for, and its run. */
async function started(options: Record<string, unknown> = {}): Promise<Run & { readonly id: string }> {
  const { id } = await user.submit({ type: "render", input: { scene: "harbour" }, ...options });
  const run = await worker.take();
  expect(run.job.id).toBe(id);
  return { ...run, id };
}

const kindsOf = async (id: string): Promise<string[]> => (await user.log(id)).map(({ kind }) => kind);

describe("leasing", () => {
  test("types of workers are listed, take any input, and are run by nobody here", async () => {
    const types = await user.call<{ items: { type: string; input: unknown }[] }>("GET", "/v1/types");
    expect(types.body.items.map(({ type }) => type)).toContain("paint");
    const { id } = await user.submit({ type: "paint", input: { any: ["thing"] } });
    const { status } = await user.job(id);
    expect(status).toBe("queued");
    await user.cancel(id);
  });

  test("a poll that waits has the job milliseconds after its submit, with all that belongs to it", async () => {
    const poll = worker.lease({ types: ["paint"], waitMs: 20_000 });
    await waiting(server(), 1);
    const submittedMs = performance.now();
    const { id } = await user.submit(
      { type: "paint", input: { a: 1 }, metadata: { page: "7" }, timeoutMs: 5000 },
      { "x-correlation-id": "corr", traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01" },
    );
    const { body } = await poll;
    expect(performance.now() - submittedMs).toBeLessThan(1000);
    expectShape(body, {
      control: "run",
      jobs: [
        {
          id,
          type: "paint",
          input: { a: 1 },
          attempt: 1,
          leaseMs: 30_000,
          timeoutMs: 5000,
          correlationId: "corr",
          metadata: { page: "7" },
          traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        },
      ],
    });
    const [job] = body.jobs ?? [];
    if (job === undefined) throw new Error("no job");
    expect(job).not.toHaveProperty("checkpoint");
    await worker.run(job).complete();
    expect((await user.log(id))[1]?.data).toEqual({ worker: "hand" } as never);
  });

  test("nothing is 204, at once or after the wait", async () => {
    expect((await worker.lease({ waitMs: 0 })).status).toBe(204);
    const beganMs = performance.now();
    expect((await worker.lease({ waitMs: 300 })).status).toBe(204);
    expect(performance.now() - beganMs).toBeGreaterThanOrEqual(299);
  });

  test("those who wait are served in the order they came, and a burst is shared", async () => {
    const first = worker.lease({ types: ["paint"], max: 10 });
    await waiting(server(), 1);
    const second = worker.lease({ types: ["paint", "render"], max: 10 });
    await waiting(server(), 2);
    const one = await user.submit({ type: "paint", input: {} });
    const jobsOf = async (poll: typeof first) => (await poll).body.jobs ?? [];
    expect((await jobsOf(first)).map(({ id }) => id)).toEqual([one.id]);
    const two = await user.submit({ type: "paint", input: {} });
    const served = [...(await jobsOf(first)), ...(await jobsOf(second))];
    expect(served.map(({ id }) => id)).toEqual([one.id, two.id]);
    for (const job of served) await worker.run(job).complete();

    const ids = await Promise.all(
      Array.from({ length: 8 }, async () => (await user.submit({ type: "paint", input: {} })).id),
    );
    const all = await jobsOf(worker.lease({ types: ["paint"], max: 100 }));
    expect(all.map(({ id }) => id).toSorted()).toEqual(ids.toSorted());
    await Promise.all(all.map((job) => worker.run(job).complete()));
  });

  test("a worker that hung up gets nothing, and the next one does", async () => {
    const gone = new AbortController();
    const poll = worker.lease({ types: ["paint"] }, gone.signal);
    await waiting(server(), 1);
    gone.abort();
    await poll.catch(() => undefined);
    await waiting(server(), 0);
    const { id } = await user.submit({ type: "paint", input: {} });
    const run = await worker.take({ types: ["paint"] });
    expect(run.job).toMatchObject({ id, attempt: 1 });
    await run.complete();
  });

  test("a job whose back-off is over wakes a poll that waits", async () => {
    const run = await started();
    const poll = worker.lease();
    await waiting(server(), 1);
    await run.fail({ code: "busy", message: "Once more.", retryAfterMs: 150 });
    const { body } = await within("the second run", poll);
    expect(body.jobs?.[0]).toMatchObject({ id: run.id, attempt: 2 });
    await user.cancel(run.id);
  });

  test("what is no wish is refused with its place", async () => {
    const wrong: [wish: Record<string, unknown>, pointer: string][] = [
      [{ types: [] }, "/types"],
      [{ max: 0 }, "/max"],
      [{ max: 101 }, "/max"],
      [{ waitMs: 30_001 }, "/waitMs"],
      [{ worker: "" }, "/worker"],
      [{ worker: "two words" }, "/worker"],
      [{ extra: 1 }, "/extra"],
    ];
    for (const [wish, pointer] of wrong) {
      const answer = await worker.lease(wish);
      expectProblem(answer, 400, "invalid_request");
      expect(answer.body.errors?.map((one) => one.pointer)).toEqual([pointer]);
    }
    expectProblem(await worker.lease({ types: ["render", "chat"] }), 422, "unknown_type");
    expectProblem(await worker.lease({ types: ["never-heard-of"] }), 422, "unknown_type");
  });

  test("operators see who was heard of", async () => {
    const run = await started();
    const { items } = (await adminCall<{ items: Record<string, unknown>[] }>("/v1/admin/workers")).body;
    const own = items.find(({ name }) => name === "hand");
    expectShape(own, { types: ["render"], polling: 0 });
    expect(own?.["leases"]).toContain(run.id);
    await run.complete();
    const after = await adminCall<{ items: { leases: string[] }[] }>("/v1/admin/workers");
    expect(after.body.items.flatMap(({ leases }) => leases)).not.toContain(run.id);
  });
});

async function adminCall<Body>(path: string) {
  return (await adminOf(server())).call<Body>("GET", path);
}

describe("output", () => {
  test("of every kind stands in the log as it was sent, and once", async () => {
    const run = await started();
    const items = [
      { kind: "job.progress", data: { ratio: 0.1, message: "warming up" } },
      textItem("Hel"),
      { kind: "output.text", data: { delta: "lo" } },
      textItem("beside", 1),
      { kind: "output.audio.format", data: { codec: "pcm_s16le", sampleRate: 16_000, channels: 1 } },
      { kind: "output.audio", data: { bytes: "AQAAAA==" } },
      { kind: "output.data", data: { frame: [1, null] } },
    ];
    expect((await run.output(items, 0)).body).toEqual({ next: 7, control: "run" } as never);
    // Said again: all of it, and some of it with more behind.
    expect((await run.output(items, 0)).body.next).toBe(7);
    expect((await run.output([...items.slice(5), textItem("!")], 5)).body.next).toBe(8);
    const log = await user.log(run.id);
    expect(log.slice(2).map(({ kind }) => kind)).toEqual([...items.map(({ kind }) => kind), "output.text"]);
    expect(log.slice(2, 9).map(({ data }) => data as unknown)).toEqual(
      items.map((item, n) => (n === 2 ? { delta: "lo", index: 0 } : item.data)),
    );
    expect(await run.complete({ frames: 1 })).toMatchObject({ status: 200 });
    expect(await user.job(run.id)).toMatchObject({ status: "succeeded", result: { frames: 1 }, attempt: 1 });
    expect(await user.output(run.id)).toMatchObject({ text: "Hello!" });
  });

  test("that leaves out an item is refused, and says which comes next", async () => {
    const run = await started();
    await run.output([textItem("a")], 0);
    const answer = await run.output([textItem("c")], 2);
    expectProblem(answer, 409, "item_gap");
    expect(answer.body.next).toBe(1);
    expect((await run.output([textItem("b")], 1)).body.next).toBe(2);
    expect(await user.output(run.id)).toMatchObject({ text: "ab" });
    await run.complete();
  });

  test("is seen while its body goes on, line by line", async () => {
    const run = await started();
    const stream = run.stream(0);
    for (const [n, delta] of ["one ", "two ", "three"].entries()) {
      stream.line(textItem(delta));
      await until(`line ${n} in the log`, async () => (await user.output(run.id)).text.endsWith(delta));
    }
    // A line in pieces is no line until it is whole.
    stream.raw('{"kind":"output.text","da');
    stream.raw('ta":{"delta":"!"}}');
    stream.end();
    expect((await stream.answer).body).toEqual({ next: 4, control: "run" } as never);
    expect((await user.output(run.id)).text).toBe("one two three!");
    await run.complete();
  });

  test("that is wrong somewhere is kept up to there", async () => {
    const wrong: [line: unknown, pointer: string][] = [
      ["{", ""],
      ["[1]", ""],
      [{ kind: "job.succeeded", data: {} }, "/kind"],
      [{ kind: "output.text", data: { delta: 5 } }, "/data/delta"],
      [{ kind: "output.text", data: { delta: "a", index: -1 } }, "/data/index"],
      ['{"kind":"output.text","data":{"delta":"\\ud83d"}}', "/data/delta"],
      [{ kind: "output.text", data: { delta: "a" }, seq: 1 }, "/seq"],
      [{ kind: "job.progress", data: { ratio: 2 } }, "/data/ratio"],
      [{ kind: "output.audio", data: { bytes: "AQ==" } }, "/data/bytes"],
      [{ kind: "output.audio.format", data: { codec: "aac", sampleRate: 1, channels: 1 } }, "/data/codec"],
    ];
    const run = await started();
    for (const [n, [line, pointer]] of wrong.entries()) {
      const answer = await run.output([textItem("a"), line, textItem("b")]);
      expectProblem(answer, 400, "invalid_request");
      expect({ line, pointers: answer.body.errors?.map((one) => one.pointer) }).toEqual({
        line,
        pointers: [pointer],
      });
      expect(answer.body.next).toBe(n + 1);
    }
    expect((await user.output(run.id)).text).toBe("a".repeat(wrong.length));
    await run.complete();
  });

  test("as a chunk of audio is one item, cut into entries of whole samples", async () => {
    const run = await started();
    expectProblem(await run.audio(new Uint8Array(4)), 400, "invalid_request");
    const stereo = { codec: "pcm_s16le", sampleRate: 48_000, channels: 3 };
    await run.output([{ kind: "output.audio.format", data: stereo }], 0);
    const bytes = Uint8Array.from({ length: 180_000 }, (_, n) => n % 251);
    expect((await run.audio(bytes, 1)).body.next).toBe(2);
    expect((await run.audio(bytes, 1)).body.next).toBe(2);
    expectProblem(await run.audio(new Uint8Array(7), 2), 400, "invalid_request");
    expect((await run.audio(bytes.subarray(0, 6), 2, "application/octet-stream")).body.next).toBe(3);
    const chunks = (await user.log(run.id))
      .filter(({ kind }) => kind === "output.audio")
      .map(({ data }) => Uint8Array.fromBase64(data.bytes ?? "", { alphabet: "base64" }));
    expect(chunks.length).toBeGreaterThan(3);
    for (const chunk of chunks) {
      expect(chunk.byteLength).toBeLessThanOrEqual(65_536);
      expect(chunk.byteLength % 6).toBe(0);
    }
    expect(Buffer.concat(chunks)).toEqual(Buffer.concat([bytes, bytes.subarray(0, 6)]));
    expectProblem(
      await run.output([{ kind: "output.audio.format", data: { ...stereo, channels: 1 } }]),
      400,
      "invalid_request",
    );
    await run.complete();
    const wav = await fetch(`${server().url}/v1/jobs/${run.id}/audio`, {
      headers: { authorization: `Bearer ${user.token}` },
    });
    expect((await wav.bytes()).byteLength).toBe(44 + 180_006);
  });

  test("of another media type is refused", async () => {
    const run = await started();
    const answer = await worker.ask(`jobs/${run.id}/output`, {}, { "holdline-lease": run.job.leaseToken });
    expectProblem(answer, 415, "unsupported_media_type");
    await run.complete();
  });

  test("of a new run begins with item 0, after the output before was declared void", async () => {
    const run = await started();
    await run.output([textItem("half")], 0);
    expect((await run.release()).body.status).toBe("retrying");
    const again = await worker.take();
    expect(again.job).toMatchObject({ id: run.id, attempt: 2 });
    expect((await again.output([textItem("whole")], 0)).body.next).toBe(1);
    await again.complete();
    expect(await kindsOf(run.id)).toEqual([
      "job.queued", "job.started", "output.text", "job.retrying", "job.started", "output.reset", "output.text",
      "job.succeeded",
    ]); // prettier-ignore
    expect((await user.output(run.id)).text).toBe("whole");
  });
});

describe("ending", () => {
  test("again under the same lease is answered again, and changes nothing", async () => {
    const run = await started();
    for (const _ of [1, 2]) {
      expect((await run.complete(7)).body).toEqual({ job: run.id, status: "succeeded" } as never);
    }
    expectProblem(await run.fail(), 409, "lease_lost");
    expect(await kindsOf(run.id)).toEqual(["job.queued", "job.started", "job.succeeded"]);
  });

  test("with an error is the job's error, retried or not as it says", async () => {
    const final = await started();
    expect((await final.fail({ code: "no_paper", message: "Empty.", retryable: false })).body.status).toBe(
      "failed",
    );
    expect((await user.job(final.id)).error).toEqual({
      code: "no_paper",
      message: "Empty.",
      retryable: false,
      attempt: 1,
      origin: "handler",
    });
    const busy = await started({ maxAttempts: 2 });
    expect((await busy.fail({ code: "busy", message: "", retryAfterMs: 0 })).body.status).toBe("retrying");
    const again = await worker.take();
    expect((await again.fail({ code: "busy", message: "" })).body.status).toBe("failed");
    for (const error of [{}, { code: "a b", message: "" }, { code: "x" }, { code: "x", message: 1 }]) {
      expectProblem(await again.fail(error), 400, "invalid_request");
    }
  });

  test("a checkpoint reaches the next run", async () => {
    const run = await started();
    await run.beat({ checkpoint: { frame: 12 } });
    await run.release();
    const again = await worker.take();
    expect(again.job).toMatchObject({ id: run.id, checkpoint: { frame: 12 } });
    await again.complete();
  });
});

describe("a heartbeat", () => {
  test("tells of a cancel, with its reason and the time that is left", async () => {
    const run = await started();
    expect((await run.beat()).body).toEqual({
      leases: [{ job: run.id, status: "ok", leaseMs: 30_000 }],
      control: "run",
    } as never);
    expect((await user.cancel(run.id)).status).toBe(202);
    const [lease] = (await run.beat()).body.leases ?? [];
    expect(lease).toMatchObject({ job: run.id, status: "cancel", reason: "requested" });
    expect(lease?.stopWithinMs).toBeWithin(1, 10_001);
    expect((await run.release()).body.status).toBe("canceled");
    expect((await run.beat()).body.leases).toEqual([{ job: run.id, status: "lost" }]);
    expect((await user.job(run.id)).status).toBe("canceled");
  });

  test("logs progress that is news", async () => {
    const run = await started();
    for (const ratio of [0.1, 0.1, 0.2]) await run.beat({ progress: { ratio } });
    expect((await kindsOf(run.id)).filter((kind) => kind === "job.progress")).toHaveLength(2);
    expect((await user.job(run.id)).progress).toEqual({ ratio: 0.2 });
    await run.complete();
  });

  test("of the cancel's race: a completion that commits first still counts as an end", async () => {
    const run = await started();
    await user.cancel(run.id);
    expect((await run.complete({ too: "late" })).body.status).toBe("canceled");
    expect((await user.job(run.id)).status).toBe("canceled");
  });
});

describe("time limits", () => {
  test("are kept for runs in workers", async () => {
    const codes: [options: Record<string, unknown>, texts: string[], code: string][] = [
      [{ timeoutMs: 200 }, ["a"], "timeout"],
      [{ firstOutputMs: 200 }, [], "first_output_timeout"],
      [{ idleMs: 200 }, ["a"], "idle_timeout"],
    ];
    for (const [options, texts, code] of codes) {
      const run = await started({ ...options, maxAttempts: 1 });
      if (texts.length > 0) await run.text(...texts);
      const ended = await user.finished(run.id);
      expect(ended.error).toMatchObject({ code, origin: "timeout" });
      expectProblem(await run.complete(), 409, "lease_lost");
      expectProblem(await run.text("more"), 409, "lease_lost");
    }
  });

  test("a body that is open when its run is over is answered then", async () => {
    const run = await started({ timeoutMs: 300, maxAttempts: 1 });
    const stream = run.stream(0);
    stream.line(textItem("a"));
    expectProblem(await within("the answer", stream.answer), 409, "lease_lost");
    expect(await user.job(run.id)).toMatchObject({ status: "failed" });
  });

  test("a body that is open when its own worker ends the run is answered well", async () => {
    const run = await started();
    const stream = run.stream(0);
    stream.line(textItem("a"));
    await until("the line", async () => (await user.output(run.id)).text === "a");
    await run.complete();
    expect((await within("the answer", stream.answer)).body).toEqual({ next: 1, control: "run" } as never);
  });

  test("a lease that nobody was heard of goes back for free", async () => {
    const { id } = await user.submit({ type: "slow", input: {} });
    const answer = await worker.lease({ types: ["slow"] });
    expect(answer.body.jobs?.[0]?.id).toBe(id);
    const again = await handWorker(server(), worker.token, { name: "second" }).take({ types: ["slow"] });
    expect(again.job).toMatchObject({ id, attempt: 2 });
    const [job] = answer.body.jobs ?? [];
    if (job === undefined) throw new Error("no job");
    expectProblem(await worker.run(job).complete(), 409, "lease_lost");
    await again.complete();
    expect((await user.log(id)).find(({ kind }) => kind === "job.retrying")?.data).toEqual({
      reason: "released",
      delayMs: 0,
    });
  });
});
