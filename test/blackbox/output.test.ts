/** A job's output as a whole: text, data and audio so far, and where to go on (PROTOCOL section 3). */
import { beforeAll, describe, expect, test } from "bun:test";
import { type Api, call, expectProblem, lastingBody, newSession, tokensBody } from "../support/http.ts";
import { outline, textOf } from "../support/log-checker.ts";
import { sharedServer } from "../support/server.ts";
import { until } from "../support/wait.ts";

const server = sharedServer();
let api: Api;
beforeAll(async () => {
  api = await newSession(server());
});

async function ended(body: unknown): Promise<string> {
  const { id } = await api.submit(body);
  await api.finished(id);
  return id;
}

describe("GET …/output", () => {
  test("of an ended job has all its text, the attempt, and the seq to go on from", async () => {
    const id = await ended(tokensBody({ tokens: 10, size: 5 }));
    const log = await api.log(id);
    const output = await api.output(id);
    expect(output).toMatchObject({ text: textOf(log), attempt: 1, data: [] });
    expect(output.text).toHaveLength(50);
    // From its seq on the log tells how the job ended, and no output any more.
    expect(outline(log.slice(output.seq)).filter((kind) => kind !== "job.succeeded")).toEqual([]);
    expect(output).not.toHaveProperty("texts");
    expect(output).not.toHaveProperty("audio");
  });

  test("of a running job is what there is so far, and the log goes on from its seq without a gap", async () => {
    const { id } = await api.submit(tokensBody({ tokens: 20, size: 5, intervalMs: 30 }));
    const early = await until("some text", async () => {
      const output = await api.output(id);
      return output.text !== "" && output;
    });
    await api.finished(id);
    const later = (await api.log(id))
      .slice(early.seq)
      .map(({ data }) => data.delta ?? "")
      .join("");
    expect(early.text + later).toBe((await api.output(id)).text);
    expect(early.text.length).toBeLessThan(100);
  });

  test("of a second attempt is that attempt's only", async () => {
    const { id } = await api.submit(tokensBody({ tokens: 6, size: 5, failAt: 4 }));
    await api.finished(id);
    const output = await api.output(id);
    expect(output.attempt).toBe(2);
    expect(output.text).toHaveLength(30);
  });
});

/** RIFF/WAVE of PCM, taken apart by hand. */
function readWav(bytes: Uint8Array) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const text = (at: number) => Buffer.from(bytes.subarray(at, at + 4)).toString("latin1");
  expect([text(0), text(8), text(12)]).toEqual(["RIFF", "WAVE", "fmt "]);
  expect(text(36)).toBe("data");
  return {
    riffBytes: view.getUint32(4, true),
    format: view.getUint16(20, true),
    channels: view.getUint16(22, true),
    sampleRate: view.getUint32(24, true),
    bits: view.getUint16(34, true),
    dataBytes: view.getUint32(40, true),
    pcm: bytes.subarray(44),
  };
}

describe("GET …/audio", () => {
  let id: string;
  let wav: Uint8Array;
  const audio = async (headers: Record<string, string> = {}) => {
    const authorization = `Bearer ${api.token}`;
    const response = await fetch(`${server().url}/v1/jobs/${id}/audio`, {
      headers: { authorization, ...headers },
    });
    return { status: response.status, headers: response.headers, bytes: await response.bytes() };
  };
  beforeAll(async () => {
    id = await ended(tokensBody({ tokens: 8, size: 1, audioBytes: 1000 }));
    wav = (await audio()).bytes;
  });

  test("is one WAV file of exactly the chunks in the log", async () => {
    const answer = await audio();
    expect(answer.status).toBe(200);
    expect(answer.headers.get("content-type")).toBe("audio/wav");
    const chunks = (await api.log(id)).filter(({ kind }) => kind === "output.audio");
    const format = (await api.log(id)).find(({ kind }) => kind === "output.audio.format")?.data;
    const { riffBytes, dataBytes, pcm, ...rest } = readWav(answer.bytes);
    expect(
      Buffer.from(pcm).equals(
        Buffer.concat(chunks.map(({ data }) => Buffer.from(data.bytes ?? "", "base64"))),
      ),
    ).toBe(true);
    expect({ riffBytes, dataBytes }).toEqual({ riffBytes: 8000 + 36, dataBytes: 8000 });
    expect(rest).toEqual({
      format: 1,
      bits: 16,
      channels: format?.channels ?? 0,
      sampleRate: format?.sampleRate ?? 0,
    });
  });

  test("is announced in the output with its format, size and address", async () => {
    const { audio: announced } = await api.output(id);
    expect(announced).toMatchObject({
      format: { codec: "pcm_s16le" },
      bytes: 8000,
      url: `/v1/jobs/${id}/audio`,
    });
  });

  const ranges: [range: string, from: number, to: number][] = [
    ["bytes=0-43", 0, 43],
    ["bytes=44-", 44, 8043],
    ["bytes=-10", 8034, 8043],
    ["bytes=8000-999999", 8000, 8043],
  ];
  test.each(ranges)("Range: %s is 206 with that part", async (range, from, to) => {
    const answer = await audio({ range });
    expect(answer.status).toBe(206);
    expect(answer.headers.get("content-range")).toBe(`bytes ${from}-${to}/8044`);
    expect(Buffer.from(answer.bytes).equals(Buffer.from(wav.subarray(from, to + 1)))).toBe(true);
  });

  test("without Range says that it takes one", async () => {
    expect((await audio()).headers.get("accept-ranges")).toBe("bytes");
  });

  test.each(["bytes=8044-", "bytes=9000-9001"])("Range: %s is 416 range_not_satisfiable", async (range) => {
    const answer = await call("GET", `${server().url}/v1/jobs/${id}/audio`, {
      headers: { range, authorization: `Bearer ${api.token}` },
    });
    expectProblem(answer, 416, "range_not_satisfiable");
    expect(answer.headers.get("content-range")).toBe("bytes */8044");
  });

  test("of a running job is what there is so far", async () => {
    const job = await api.submit(tokensBody({ tokens: 100, audioBytes: 500, intervalMs: 60_000 }));
    await until("the first chunk", async () => (await api.output(job.id)).audio?.bytes === 500);
    const authorization = `Bearer ${api.token}`;
    const response = await fetch(`${server().url}/v1/jobs/${job.id}/audio`, { headers: { authorization } });
    expect(response.status).toBe(200);
    expect(readWav(await response.bytes()).pcm).toHaveLength(500);
    await api.cancel(job.id);
  });

  test("of a job without audio is 404 no_audio", async () => {
    const silent = await ended(tokensBody());
    expectProblem(await api.call("GET", `/v1/jobs/${silent}/audio`), 404, "no_audio");
    const waiting = await api.submit(lastingBody());
    expectProblem(await api.call("GET", `/v1/jobs/${waiting.id}/audio`), 404, "no_audio");
    await api.cancel(waiting.id);
  });
});
