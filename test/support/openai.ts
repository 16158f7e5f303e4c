/**
 * A real server of OpenAI's chat and audio API, as far as Holdline asks it, whose answers the test writes byte by byte; a
 * server process that is pointed at it; and what jobs made of it. Answers are named by the model or the voice asked for.
 */
import { expect } from "bun:test";
import { serveEndpoint, type Exchange } from "./endpoint.ts";
import { newSession, type Api } from "./http.ts";
import { expectWhole } from "./log-checker.ts";
import { startServer, type TestServer } from "./server.ts";
import { until } from "./wait.ts";
import type { EventBody, JobBody } from "./wire.ts";

const CHAT_KEY = "sk-canary-of-the-writer";
const SPEECH_KEY = "sk-canary-of-the-speaker";
export const CHAT = "/v1/chat/completions";
export const SPEECH = "/v1/audio/speech";
/** What upstreams say in words, and users must not see. */
export const SECRET = "what the upstream says in words";
export const GIB = 1024 ** 3;

export type Answer = (exchange: Exchange, tries: number) => void | Promise<void>;

export const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

export const event = (data: unknown): string =>
  `data: ${typeof data === "string" ? data : JSON.stringify(data)}\n\n`;
export const delta = (content: string, finish: string | null = null): string =>
  event({ model: "up-1", choices: [{ index: 0, delta: { content }, finish_reason: finish }] });
export const USAGE = { prompt_tokens: 9, completion_tokens: 3, details: { cached_tokens: 0 } };
export const END = delta("", "stop") + event({ choices: [], usage: USAGE }) + event("[DONE]");

export const bytesOf = (text: string): Uint8Array[] =>
  [...Buffer.from(text)].map((byte) => Uint8Array.of(byte));

type Ending = "whole" | "cut" | "open";

/** A chunked answer, each chunk written by itself. */
export const chunked =
  (type: string, chunks: readonly (string | Uint8Array)[], ending: Ending = "whole"): Answer =>
  async (exchange) => {
    exchange.head("200 OK", `Content-Type: ${type}`, "Transfer-Encoding: chunked");
    for (const one of chunks) {
      exchange.chunk(one);
      await turn();
    }
    if (ending === "whole") exchange.chunk();
    if (ending === "cut") exchange.end();
  };
export const stream = (chunks: readonly (string | Uint8Array)[], ending: Ending = "whole"): Answer =>
  chunked("text/event-stream; charset=utf-8", chunks, ending);
export const sound = (chunks: readonly Uint8Array[], ending: Ending = "whole"): Answer =>
  chunked("audio/pcm", chunks, ending);

export const refusal =
  (status: string, ...lines: string[]): Answer =>
  ({ head, headers, write }) => {
    const body = JSON.stringify({ error: { message: `${SECRET} ${headers.get("authorization")}` } });
    head(status, "Content-Type: application/json", `Content-Length: ${body.length}`, ...lines);
    write(body);
  };

/** Writes up to a gibibyte as fast as it is read, until nobody does. */
export const endless =
  (status: string, type: string, piece: string): Answer =>
  async (exchange) => {
    exchange.head(status, `Content-Type: ${type}`, "Transfer-Encoding: chunked");
    let open = true;
    void exchange.gone.then(() => (open = false));
    for (let sent = 0; open && sent < GIB; sent += piece.length) {
      exchange.chunk(piece);
      await turn();
    }
  };

/** A redirect to a path of the same server that nobody must ask for. */
export const moved =
  (status: string): Answer =>
  (exchange, tries) =>
    refusal(status, `Location: http://${exchange.headers.get("host")}/elsewhere`)(exchange, tries);

/** The first try is answered by one, every later one by the other. */
export const first =
  (bad: Answer, good: Answer): Answer =>
  (exchange, tries) =>
    (tries === 1 ? bad : good)(exchange, tries);

/** 0.2 s. */
export const PCM = Uint8Array.from({ length: 9600 }, (_, n) => n % 251);

interface Asked {
  readonly model: string;
  readonly voice?: string;
  readonly input?: string;
}
export const wishOf = ({ body }: Exchange): Asked => JSON.parse(body) as Asked;

export interface Ended {
  readonly id: string;
  readonly job: JobBody;
  readonly log: EventBody[];
}

export interface Upstreams {
  readonly server: TestServer;
  readonly api: Api;
  /** Answers of `chat NAME` and `speech NAME`; a test may add its own. */
  readonly answers: Map<string, Answer>;
  /** The requests for this model or voice so far, once there are that many. */
  asked(path: string, name: string, count: number): Promise<readonly Exchange[]>;
  /** How often `chat NAME` or `speech NAME` was asked for. */
  tries(name: string): number;
  /** Submits and waits for the end. */
  ended(body: object, options?: Record<string, unknown>): Promise<Ended>;
  /** Ends both servers, and looks through all that the process ever wrote and where it went. */
  stop(): Promise<void>;
}

/** Both servers; `Bearer` keys of both kinds are canaries. */
export async function startUpstreams(known: Readonly<Record<string, Answer>>): Promise<Upstreams> {
  const answers = new Map(Object.entries(known));
  const tries = new Map<string, number>();
  const answer = (kind: string) => (exchange: Exchange) => {
    const { model, voice = model } = wishOf(exchange);
    const name = `${kind} ${voice}`;
    tries.set(name, (tries.get(name) ?? 0) + 1);
    void answers.get(name)?.(exchange, tries.get(name) ?? 0);
  };
  const upstream = await serveEndpoint({ [CHAT]: answer("chat"), [SPEECH]: answer("speech") });
  const server = await startServer({
    env: {
      HOLDLINE_CHAT_URL: `${upstream.url}/v1`,
      HOLDLINE_CHAT_KEY: CHAT_KEY,
      HOLDLINE_CHAT_MODEL: "good",
      HOLDLINE_SPEECH_URL: `${upstream.url}/v1/`,
      HOLDLINE_SPEECH_KEY: SPEECH_KEY,
      HOLDLINE_SPEECH_VOICE: "good",
      HOLDLINE_LOG: "debug",
    },
  });
  const api = await newSession(server);
  return {
    server,
    api,
    answers,
    tries: (name) => tries.get(name) ?? 0,
    asked: (path, name, count) =>
      until(`${count} requests for ${name}`, async () => {
        const all = await upstream.askedOf(path, 0);
        const found = all.filter((one) => [wishOf(one).voice, wishOf(one).model].includes(name));
        return found.length >= count && found;
      }),
    async ended(body, options = {}) {
      const { id } = await api.submit({ ...body, ...options });
      const job = await api.finished(id);
      const log = await api.log(id);
      expectWhole(log);
      expect(JSON.stringify([job, log])).not.toContain(SECRET);
      return { id, job, log };
    },
    async stop() {
      const [exit, output] = [server.exit(), server.output()];
      await server[Symbol.asyncDispose]();
      const keys = [...(await upstream.askedOf(CHAT, 0)), ...(await upstream.askedOf(SPEECH, 0))];
      const elsewhere = await upstream.askedOf("/elsewhere", 0);
      await upstream[Symbol.asyncDispose]();
      expect(exit).toBeNull();
      // The upstream was told the keys and repeated them in its refusals; the process never wrote one.
      expect(keys.every(({ headers }) => headers.get("authorization")?.includes("canary") === true)).toBe(
        true,
      );
      expect(output).toMatch(/upstream (refused|answered 4)/);
      expect(output).not.toContain("canary");
      expect(elsewhere).toHaveLength(0);
    },
  };
}

/** The sound of the latest run, chunk by chunk. */
export const soundOf = (log: readonly EventBody[]): Buffer[] =>
  log
    .slice(log.findLastIndex(({ kind }) => kind === "output.reset") + 1)
    .filter(({ kind }) => kind === "output.audio")
    .map(({ data }) => Buffer.from((data as { bytes: string }).bytes, "base64"));
