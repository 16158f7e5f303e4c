/** The output of a job so far, and its audio as one file: the latest run's, whole, wherever its log stands. */
import { describe, expect, test } from "bun:test";
import { openAudio } from "../../src/jobs/audio.ts";
import type { Item } from "../../src/jobs/job.ts";
import { createMemoryJobStore } from "../../src/jobs/memory.ts";
import { readOutput } from "../../src/jobs/output.ts";
import type { JobId } from "../../src/lib/ids.ts";
import { LIMITS } from "../../src/protocol/limits.ts";
import { drive, textItem, type Drive, type HeldRun } from "../conformance/drive.ts";

const FORMAT = { codec: "pcm_s16le", sampleRate: 16_000, channels: 1 };
const formatItem = (format: object = FORMAT): Item => ({
  kind: "output.audio.format",
  data: JSON.stringify(format),
});
const chunk = (...bytes: number[]): Item => ({ kind: "output.audio", data: new Uint8Array(bytes) });
const dataItem = (value: unknown): Item => ({ kind: "output.data", data: JSON.stringify(value) });

function setup() {
  const store = createMemoryJobStore();
  const on = drive(store);
  return {
    store,
    on,
    output: async (id: JobId) => readOutput(store, await on.job(id)),
    audio: async (id: JobId) => openAudio(store, await on.job(id)),
  };
}

async function append(on: Drive, { id, lease }: HeldRun, ...items: Item[]): Promise<void> {
  const outcome = await on.execute("append", { id, lease, items, jobBytes: LIMITS.jobBytes });
  expect(outcome).toBe("ok");
}

describe("the output", () => {
  test("of a job that wrote nothing is nothing, and says where to go on", async () => {
    const { on, output } = setup();
    const id = await on.submit();
    expect(await output(id)).toEqual({ text: "", seq: 1, attempt: 0, data: [] });
  });

  test("is folded by index, with data and audio beside it", async () => {
    const { on, output } = setup();
    const run = await on.started();
    await append(on, run, textItem("Hel"), textItem("lo"), dataItem({ a: 1 }), formatItem(), chunk(1, 2));
    await append(on, run, { kind: "output.data", data: new Uint8Array([255]) }, chunk(3, 4, 5, 6));
    const whole = {
      text: "Hello",
      seq: 9,
      attempt: 1,
      data: [{ a: 1 }, { bytes: "/w==" }],
      audio: { format: FORMAT, bytes: 6, url: `/v1/jobs/${run.id}/audio` },
    };
    expect(await output(run.id)).toEqual(whole);
    await append(on, run, textItem("zwei", 2), textItem("eins", 1), textItem("!"), textItem("!", 2));
    expect(await output(run.id)).toEqual({
      ...whole,
      text: "Hello!",
      texts: [
        { index: 0, text: "Hello!" },
        { index: 1, text: "eins" },
        { index: 2, text: "zwei!" },
      ],
      seq: 13,
    });
  });

  test("is the latest run's alone", async () => {
    const { on, output } = setup();
    const first = await on.started();
    await append(on, first, textItem("void"), dataItem(1), formatItem(), chunk(1, 2));
    await on.fail(first);
    // Until the next run starts, what there is stands.
    expect(await output(first.id)).toMatchObject({ text: "void", attempt: 1 });
    const second = await on.again(first.id);
    expect(await output(first.id)).toEqual({ text: "", seq: 9, attempt: 2, data: [] });
    await append(on, second, textItem("valid"));
    expect(await output(first.id)).toEqual({ text: "valid", seq: 10, attempt: 2, data: [] });
  });

  test("of a finished job leaves its end to be heard", async () => {
    const { on, output } = setup();
    const run = await on.started();
    await append(on, run, textItem("all"));
    await on.succeed(run);
    expect(await output(run.id)).toMatchObject({ text: "all", seq: 3 });
  });

  test("is read to its end though it takes many pages", async () => {
    const { on, output } = setup();
    const run = await on.started();
    const words = Array.from({ length: LIMITS.replayPageEvents * 2 + 5 }, (_none, n) => `${n} `);
    await append(on, run, ...words.map((word) => textItem(word)));
    expect(await output(run.id)).toMatchObject({ text: words.join("") });
  });

  test("is taken from the result once the log is gone, if that has a text", async () => {
    for (const [result, text] of [
      [{ text: "kept" }, "kept"],
      [{ text: 7 }, ""],
      [["text"], ""],
      [null, ""],
    ] as const) {
      const { on, output } = setup();
      const run = await on.started();
      await append(on, run, textItem("gone"));
      await on.succeed(run, result);
      on.pass(1);
      await on.retain({ jobsBefore: 0, keysBefore: 0 });
      expect(await output(run.id)).toEqual({ text, seq: 3, attempt: 1, data: [] });
    }
  });
});

describe("the audio", () => {
  async function bytesOf(audio: ReturnType<typeof setup>["audio"], id: JobId, start = 0, end?: number) {
    const file = await audio(id);
    if (file === null) throw new Error("no audio");
    const parts: number[] = [];
    for await (const part of file.read(start, end ?? file.size)) parts.push(...part);
    return { file, bytes: new Uint8Array(parts) };
  }

  test("of PCM is a WAV file of all its chunks", async () => {
    const { on, audio } = setup();
    const run = await on.started();
    await append(
      on,
      run,
      textItem("a"),
      formatItem({ ...FORMAT, channels: 2, sampleRate: 48_000 }),
      chunk(1, 2, 3, 4),
    );
    await append(on, run, textItem("b"), chunk(5, 6, 7, 8));
    const { file, bytes } = await bytesOf(audio, run.id);
    expect({ type: file.contentType, size: file.size }).toEqual({ type: "audio/wav", size: 52 });
    const view = new DataView(bytes.buffer);
    const ascii = (from: number) => new TextDecoder().decode(bytes.subarray(from, from + 4));
    expect([ascii(0), ascii(8), ascii(12), ascii(36)]).toEqual(["RIFF", "WAVE", "fmt ", "data"]);
    expect({
      riffBytes: view.getUint32(4, true),
      formatBytes: view.getUint32(16, true),
      format: view.getUint16(20, true),
      channels: view.getUint16(22, true),
      sampleRate: view.getUint32(24, true),
      byteRate: view.getUint32(28, true),
      frameBytes: view.getUint16(32, true),
      bits: view.getUint16(34, true),
      dataBytes: view.getUint32(40, true),
    }).toEqual({
      riffBytes: 44,
      formatBytes: 16,
      format: 1,
      channels: 2,
      sampleRate: 48_000,
      byteRate: 192_000,
      frameBytes: 4,
      bits: 16,
      dataBytes: 8,
    });
    expect([...bytes.subarray(44)]).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  });

  test("can be read from anywhere to anywhere", async () => {
    const { on, audio } = setup();
    const run = await on.started();
    await append(on, run, formatItem(), chunk(1, 2, 3, 4), chunk(5, 6), chunk(7, 8, 9, 10));
    const { bytes: whole, file } = await bytesOf(audio, run.id);
    expect(file.size).toBe(54);
    for (const [start, end] of [
      [0, 10],
      [40, 46],
      [44, 48],
      [46, 53],
      [47, 48],
      [48, 50],
      [53, 54],
      [20, 20],
    ] as const) {
      expect((await bytesOf(audio, run.id, start, end)).bytes).toEqual(whole.slice(start, end));
    }
  });

  test.each([
    ["mp3", "audio/mpeg"],
    ["opus", "audio/ogg"],
  ])("of %s is %s as it came", async (codec, contentType) => {
    const { on, audio } = setup();
    const run = await on.started();
    await append(on, run, formatItem({ ...FORMAT, codec }), chunk(9, 8), chunk(7));
    const { file, bytes } = await bytesOf(audio, run.id);
    expect(file.contentType).toBe(contentType);
    expect([...bytes]).toEqual([9, 8, 7]);
  });

  test("is the latest run's alone, and none where that has none", async () => {
    const { on, audio } = setup();
    const first = await on.started();
    await append(on, first, formatItem(), chunk(1, 2));
    await on.fail(first);
    const second = await on.again(first.id);
    expect(await audio(first.id)).toBeNull();
    await append(on, second, textItem("x"), formatItem(), chunk(3, 4));
    expect([...(await bytesOf(audio, first.id, 44)).bytes]).toEqual([3, 4]);
  });

  test("is none without a chunk, without a format, or once its log was trimmed", async () => {
    const { on, audio } = setup();
    const [silent, formless, old] = [await on.started(), await on.started(), await on.started()];
    await append(on, silent, formatItem());
    await append(on, formless, chunk(1, 2));
    await append(on, old, formatItem(), chunk(1, 2));
    await on.succeed(old);
    on.pass(1);
    await on.retain({ jobsBefore: 0, keysBefore: 0 });
    for (const { id } of [silent, formless, old]) expect(await audio(id)).toBeNull();
  });
});
