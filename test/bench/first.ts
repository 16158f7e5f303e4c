/**
 * How long until the first token and the first sound, through Holdline and from the same upstream asked directly, in
 * turns: what lies between is what Holdline takes to store the job, its start and the token, and to tell them.
 */
import { startMeasured } from "./process.ts";

const ROUNDS = 24;
/** Not counted: code and connections get warm. */
const WARM_ROUNDS = 4;

const INPUT = { messages: [{ role: "user", content: "Tell me." }] };
const FIRST_SENTENCE = "The first sentence is short.";

export interface FirstFigures {
  /** Median ms from the request to the first token of the upstream itself. */
  readonly directTokenMs: number;
  /** The same to the first sentence, and then to the first bytes of its sound. */
  readonly directSoundMs: number;
  readonly chatTokenMs: number;
  readonly voiceTokenMs: number;
  readonly voiceSoundMs: number;
}

function median(values: readonly number[]): number {
  const sorted = values.slice(WARM_ROUNDS).toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

function post(url: string, body: object, token?: string): Promise<Response> {
  const headers = {
    "Content-Type": "application/json",
    ...(token === undefined ? {} : { Authorization: `Bearer ${token}` }),
  };
  return fetch(url, { method: "POST", headers, body: JSON.stringify(body) });
}

/** Asks the upstream as a program without Holdline would: reads until the first sentence stands, and has it spoken. */
async function askDirectly(url: string): Promise<{ tokenMs: number; soundMs: number }> {
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
  run(type: string): Promise<{ tokenMs: number; soundMs: number }>;
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
    async run(type) {
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
      const answer = await post(`${url}/v1/jobs`, { type, input: INPUT }, token);
      if (answer.status !== 202) throw new Error(`${answer.status} ${await answer.text()}`);
      await answer.arrayBuffer();
      await ended.promise;
      return { tokenMs, soundMs };
    },
    close: () => socket.close(),
  };
}

/** `power`: three commits are synced to the disk on the way (accepted, started, said); `process`: none. */
export async function measureFirst(durability: "power" | "process"): Promise<FirstFigures> {
  const upstream = await startMeasured("test/bench/upstream.ts");
  const server = await startMeasured("src/main.ts serve", {
    HOLDLINE_CHAT_URL: upstream.url,
    HOLDLINE_SPEECH_URL: upstream.url,
    HOLDLINE_RATE_PER_MINUTE: "0",
    HOLDLINE_DURABILITY: durability,
  });
  const session = await openSession(server.url);
  const rounds = { direct: [], chat: [], voice: [] } as Record<
    "direct" | "chat" | "voice",
    { tokenMs: number; soundMs: number }[]
  >;
  for (let round = 0; round < ROUNDS; round += 1) {
    rounds.direct.push(await askDirectly(upstream.url));
    rounds.chat.push(await session.run("chat"));
    rounds.voice.push(await session.run("voice"));
  }
  session.close();
  await server.stop();
  await upstream.stop();
  return {
    directTokenMs: median(rounds.direct.map(({ tokenMs }) => tokenMs)),
    directSoundMs: median(rounds.direct.map(({ soundMs }) => soundMs)),
    chatTokenMs: median(rounds.chat.map(({ tokenMs }) => tokenMs)),
    voiceTokenMs: median(rounds.voice.map(({ tokenMs }) => tokenMs)),
    voiceSoundMs: median(rounds.voice.map(({ soundMs }) => soundMs)),
  };
}
