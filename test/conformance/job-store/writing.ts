/** Conformance of `append` and `checkpoint`: what a run writes is kept as it is, numbered, and within its bound. */
import { expect } from "bun:test";
import type { Item } from "../../../src/jobs/job.ts";
import { LIMITS } from "../../../src/protocol/limits.ts";
import { dataOf, textItem, type Check, type Drive, type HeldRun } from "../drive.ts";

function append(on: Drive, { id, lease }: HeldRun, items: Item[], jobBytes: number = LIMITS.jobBytes) {
  return on.execute("append", { id, lease, items, jobBytes });
}

export function writing(check: Check): void {
  check("logs the items in their order under the number of the run", async (on) => {
    const run = await on.started();
    on.pass(10);
    const items: Item[] = [
      textItem("Hel"),
      textItem("lo", 3),
      { kind: "job.progress", data: '{"ratio":0.5}' },
      { kind: "output.data", data: '{"a":[1,null]}' },
    ];
    expect(await append(on, run, items)).toBe("ok");
    expect(await append(on, run, [textItem("!")])).toBe("ok");
    const at = on.now().wallMs;
    expect((await on.log(run.id)).slice(2)).toEqual([
      ...items.map((item, index) => ({ seq: 3 + index, attempt: 1, at, ...item })),
      { seq: 7, attempt: 1, at, ...textItem("!") },
    ]);
    const written = [...items, textItem("!")].map(({ data }) => Buffer.byteLength(data));
    expect(await on.job(run.id)).toMatchObject({
      status: "running",
      head: 7,
      hasOutput: true,
      progress: '{"ratio":0.5}',
      logBytes: written.reduce((sum, bytes) => sum + bytes, 0),
    });
  });

  check("keeps bytes and text as they came", async (on) => {
    const run = await on.started();
    const all = new Uint8Array(512).map((_zero, index) => index % 256);
    const texts = ['"\\ \u2028', "naïve 🙂 текст", "x".repeat(LIMITS.deltaBytes)];
    const items: Item[] = [
      { kind: "output.audio.format", data: '{"codec":"pcm_s16le","sampleRate":16000,"channels":1}' },
      // A view into a larger buffer: only what it shows is meant.
      { kind: "output.audio", data: all.subarray(100, 400) },
      { kind: "output.data", data: all },
      ...texts.map((text) => textItem(text)),
    ];
    expect(await append(on, run, items)).toBe("ok");
    const read = (await on.log(run.id)).slice(2);
    expect(read.map(({ kind, data }) => ({ kind, data }))).toEqual(items);
    expect(read[1]?.data).toBeInstanceOf(Uint8Array);
    expect(dataOf(read[4])).toEqual({ delta: texts[1], index: 0 });
    expect(await on.job(run.id)).toMatchObject({
      logBytes: items.reduce((sum, { data }) => sum + Buffer.byteLength(data), 0),
    });
  });

  check("of nothing is accepted and changes nothing", async (on) => {
    const run = await on.started();
    const before = await on.job(run.id);
    expect(await append(on, run, [])).toBe("ok");
    expect(await on.job(run.id)).toEqual(before);
  });

  check("takes the log up to its bound in bytes, and nothing of what would pass it", async (on) => {
    const run = await on.started();
    const item = textItem("é");
    const bytes = Buffer.byteLength(item.data);
    expect(await append(on, run, [item, item], bytes * 2)).toBe("ok");
    const before = await on.job(run.id);
    expect(await append(on, run, [item], bytes * 3 - 1)).toBe("output_too_large");
    expect(await append(on, run, [item, item], bytes * 3)).toBe("output_too_large");
    expect(await on.job(run.id)).toEqual(before);
    // The refusal ends nothing by itself, and what still fits is still taken.
    expect(await append(on, run, [item], bytes * 3)).toBe("ok");
  });

  check("counts what earlier runs wrote against the bound as well", async (on) => {
    const first = await on.started();
    const item = textItem("word");
    const bytes = Buffer.byteLength(item.data);
    await append(on, first, [item]);
    await on.release(first);
    const second = await on.again(first.id);
    expect(await append(on, second, [item], bytes * 2 - 1)).toBe("output_too_large");
    expect(await append(on, second, [item], bytes * 2)).toBe("ok");
  });

  check("shows the progress of the present run only", async (on) => {
    const first = await on.started();
    await append(on, first, [
      { kind: "job.progress", data: '{"ratio":0.1}' },
      { kind: "job.progress", data: '{"ratio":0.9}' },
    ]);
    expect(await on.job(first.id)).toMatchObject({ progress: '{"ratio":0.9}', hasOutput: false });
    await on.release(first);
    const second = await on.again(first.id);
    expect(await on.job(second.id)).toMatchObject({ progress: null });
  });

  check("is still taken while the run is being stopped", async (on) => {
    const run = await on.started();
    await on.cancel(run.id);
    expect(await on.text(run, "last words")).toBe("ok");
    expect(await on.kinds(run.id)).toEqual(["job.queued", "job.started", "job.canceling", "output.text"]);
  });

  check("of one turn of the loop, with the end of the run, takes effect in the order given", async (on) => {
    const run = await on.started();
    const outcomes = await Promise.all([
      on.text(run, "a"),
      on.text(run, "b", "c"),
      on.succeed(run, "abc"),
      on.text(run, "d"),
    ]);
    expect(outcomes).toEqual(["ok", "ok", "succeeded", "lease_lost"]);
    const deltas = (await on.log(run.id)).filter(({ kind }) => kind === "output.text").map(dataOf);
    expect(deltas).toEqual(["a", "b", "c"].map((delta) => ({ delta, index: 0 })));
  });

  check("leaves a checkpoint that the next run is given, the newest one", async (on) => {
    const first = await on.started();
    const { id } = first;
    for (const value of ['{"page":1}', '{"page":"2 ü"}']) {
      expect(await on.execute("checkpoint", { id, lease: first.lease, value })).toBe("ok");
    }
    expect(await on.kinds(id)).toEqual(["job.queued", "job.started"]);
    await on.release(first);
    const { type } = await on.job(id);
    const { jobs } = await on.tryClaim({ types: [{ type, most: 1 }] });
    expect(jobs[0]).toMatchObject({ checkpoint: '{"page":"2 ü"}', input: "{}", job: { attempt: 2 } });
  });
}
