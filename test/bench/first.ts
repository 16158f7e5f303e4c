/**
 * How long until the first token and the first sound, through Holdline and from the same upstream asked directly: what
 * lies between is what Holdline takes to store the job, its start and the token, and to tell them. All ways are asked in
 * turns, so that what else the machine does falls on each of them alike.
 */
import { closeSync, existsSync, fdatasyncSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { median } from "./median.ts";
import { startMeasured, type Measured } from "./process.ts";

const ROUNDS = 40;
/** Jobs that each server runs beforehand, as one that has been up for a minute has: its code is compiled by then. */
const WARM_JOBS = 400;
/** A file system in memory, where an fsync costs nothing. */
const MEMORY = "/dev/shm";
/** About what a commit of one job writes. */
const SYNCED_BYTES = 16_384;

const INPUT = { messages: [{ role: "user", content: "Tell me." }] };
const FIRST_SENTENCE = "The first sentence is short.";

/** Median milliseconds from the request on; the sound is the first of the first sentence. */
export interface FirstFigures {
  readonly tokenMs: number;
  readonly soundMs: number;
}

export interface Way {
  readonly name: string;
  readonly chat: FirstFigures;
  readonly voice: FirstFigures;
}

export interface FirstTable {
  /** The upstream itself, without Holdline. */
  readonly direct: FirstFigures;
  readonly ways: readonly Way[];
  /** Median of one fsync of the disk that the servers' data lie on, in the same minutes. */
  readonly syncMs: number;
}

function post(url: string, body: object, token?: string): Promise<Response> {
  const headers = {
    "Content-Type": "application/json",
    ...(token === undefined ? {} : { Authorization: `Bearer ${token}` }),
  };
  return fetch(url, { method: "POST", headers, body: JSON.stringify(body) });
}

/** Asks the upstream as a program without Holdline would: reads until the first sentence stands, and has it spoken. */
async function askDirectly(url: string): Promise<FirstFigures> {
  const beganMs = performance.now();
  const answer = await post(`${url}/chat/completions`, { ...INPUT, model: "m", stream: true });
  const decoder = new TextDecoder();
  let tokenMs = Number.NaN;
  let soundMs = Number.NaN;
  let text = "";
  for await (const chunk of answer.body ?? []) {
    for (const [, json = ""] of decoder.decode(chunk).matchAll(/^data: (\{.*)$/gm)) {
      const part = JSON.parse(json) as { choices: { delta: { content?: string } }[] };
      text += part.choices[0]?.delta.content ?? "";
    }
    if (Number.isNaN(tokenMs)) tokenMs = performance.now() - beganMs;
    // A sentence is known to be over when the next one has begun.
    if (!Number.isNaN(soundMs) || text.length <= FIRST_SENTENCE.length + 1) continue;
    const sound = await post(`${url}/audio/speech`, { input: FIRST_SENTENCE, model: "m", voice: "v" });
    for await (const bytes of sound.body ?? []) {
      if (bytes.length > 0 && Number.isNaN(soundMs)) soundMs = performance.now() - beganMs;
    }
  }
  return { tokenMs, soundMs };
}

interface Session {
  /** Submits a job; when its first token and its first sound came (NaN: none), once it has ended. */
  run(type: string, model: string): Promise<FirstFigures>;
  close(): void;
}

async function openSession(url: string): Promise<Session> {
  const socket = new WebSocket(`${url.replace("http", "ws")}/v1/connect`, ["holdline.v1"]);
  socket.binaryType = "arraybuffer";
  const welcome = Promise.withResolvers<string>();
  let heard: (data: string | ArrayBuffer) => void = (data) => {
    if (typeof data === "string") welcome.resolve((JSON.parse(data) as { token: string }).token);
  };
  socket.addEventListener("message", ({ data }: MessageEvent<string | ArrayBuffer>) => {
    if (typeof data === "string" && data.startsWith('{"type":"ping"'))
      socket.send(data.replace("ping", "pong"));
    else heard(data);
  });
  const token = await welcome.promise;
  return {
    async run(type, model) {
      const ended = Promise.withResolvers<void>();
      socket.addEventListener("close", () => ended.reject(new Error("the socket was closed")));
      const beganMs = performance.now();
      let tokenMs = Number.NaN;
      let soundMs = Number.NaN;
      heard = (data) => {
        const nowMs = performance.now() - beganMs;
        if (typeof data !== "string") soundMs = Number.isNaN(soundMs) ? nowMs : soundMs;
        else if (data.includes('"kind":"output.text"')) tokenMs = Number.isNaN(tokenMs) ? nowMs : tokenMs;
        else if (data.includes('"kind":"job.succeeded"')) ended.resolve();
        else if (data.includes('"terminal":true')) ended.reject(new Error(data));
      };
      const answer = await post(`${url}/v1/jobs`, { type, input: { ...INPUT, model } }, token);
      if (answer.status !== 202) throw new Error(`${answer.status} ${await answer.text()}`);
      await answer.arrayBuffer();
      await ended.promise;
      return { tokenMs, soundMs };
    },
    close: () => socket.close(),
  };
}

function medians(all: readonly FirstFigures[]): FirstFigures {
  return {
    tokenMs: median(all.map(({ tokenMs }) => tokenMs)),
    soundMs: median(all.map(({ soundMs }) => soundMs)),
  };
}

/** Writes about as much as a commit does, behind what was written before, and waits for the disk. */
function createSyncProbe(place: string): { sync(): number; close(): void } {
  const path = join(place, `holdline-bench-sync-${process.pid}`);
  const file = openSync(path, "w");
  const bytes = new Uint8Array(SYNCED_BYTES).fill(1);
  return {
    sync() {
      writeSync(file, bytes);
      const beganMs = performance.now();
      fdatasyncSync(file);
      return performance.now() - beganMs;
    },
    close() {
      closeSync(file);
      rmSync(path);
    },
  };
}

interface Served {
  readonly name: string;
  readonly server: Measured;
  readonly session: Session;
  readonly chat: FirstFigures[];
  readonly voice: FirstFigures[];
}

/** Two commits lie on the way to a first token; with `power` each of them waits for the disk. */
export async function measureFirst(): Promise<FirstTable> {
  const upstream = await startMeasured("test/bench/upstream.ts");
  const serve = async (name: string, durability: string, place?: string): Promise<Served> => {
    const env = {
      HOLDLINE_CHAT_URL: upstream.url,
      HOLDLINE_SPEECH_URL: upstream.url,
      HOLDLINE_RATE_PER_MINUTE: "0",
      HOLDLINE_DURABILITY: durability,
    };
    const server = await startMeasured("src/main.ts serve", env, place);
    const session = await openSession(server.url);
    for (let job = 0; job < WARM_JOBS; job += 1)
      await session.run(job % 2 === 0 ? "chat" : "voice", "instant");
    return { name, server, session, chat: [], voice: [] };
  };
  const served = [await serve("process", "process"), await serve("power", "power")];
  if (existsSync(MEMORY)) served.push(await serve(`power on ${MEMORY}`, "power", MEMORY));
  const probe = createSyncProbe(tmpdir());
  const direct: FirstFigures[] = [];
  const syncsMs: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    direct.push(await askDirectly(upstream.url));
    syncsMs.push(probe.sync());
    for (const { session, chat, voice } of served) {
      chat.push(await session.run("chat", "steady"));
      voice.push(await session.run("voice", "steady"));
    }
  }
  probe.close();
  for (const { session, server } of served) {
    session.close();
    await server.stop();
  }
  await upstream.stop();
  return {
    direct: medians(direct),
    ways: served.map(({ name, chat, voice }) => ({ name, chat: medians(chat), voice: medians(voice) })),
    syncMs: median(syncsMs),
  };
}
