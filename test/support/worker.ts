/** A remote worker by hand: each call of PROTOCOL section 6 as one function, and nothing done that a test did not ask for. */
import { call, type Answer } from "./http.ts";
import { issueToken } from "./operator.ts";
import type { TestServer } from "./server.ts";
import { until } from "./wait.ts";
import type { Json, ProblemBody } from "./wire.ts";

export interface LeasedBody {
  id: string;
  type: string;
  input: Json;
  attempt: number;
  leaseToken: string;
  leaseMs: number;
  timeoutMs: number;
  checkpoint?: Json;
  traceparent: string;
  correlationId?: string;
  metadata: Record<string, string>;
}

/** An answer to a worker, or a problem in its place. */
export type WorkerAnswer = Answer<
  Omit<ProblemBody, "status"> & {
    /** Of the job; of a problem the number again. */
    status?: string | number;
    jobs?: LeasedBody[];
    control?: string;
    next?: number;
    job?: string;
    leases?: { job: string; status: string; leaseMs?: number; reason?: string; stopWithinMs?: number }[];
    limit?: string;
  }
>;

export interface Sign {
  progress?: Json;
  checkpoint?: Json;
}

/** One run as a worker has it. */
export interface Run {
  readonly job: LeasedBody;
  /** Items from `first` on; null: without the header. */
  output(items: readonly unknown[], first?: number | null): Promise<WorkerAnswer>;
  text(...deltas: string[]): Promise<WorkerAnswer>;
  audio(bytes: Uint8Array, first?: number | null, type?: string): Promise<WorkerAnswer>;
  /** A body that goes on until it is ended. */
  stream(first?: number): OutputStream;
  beat(sign?: Sign): Promise<WorkerAnswer>;
  complete(result?: Json): Promise<WorkerAnswer>;
  fail(error?: Record<string, unknown>): Promise<WorkerAnswer>;
  release(): Promise<WorkerAnswer>;
}

export interface OutputStream {
  line(item: unknown): void;
  raw(text: string): void;
  end(): void;
  readonly answer: Promise<WorkerAnswer>;
}

export interface WorkerOptions {
  readonly name?: string;
  readonly types?: readonly string[];
}

export interface HandWorker {
  readonly token: string;
  ask(path: string, json: unknown, headers?: Record<string, string>): Promise<WorkerAnswer>;
  lease(wish?: Record<string, unknown>, signal?: AbortSignal): Promise<WorkerAnswer>;
  /** The run of one job, heard of at once. */
  take(wish?: Record<string, unknown>): Promise<Run>;
  run(job: LeasedBody): Run;
}

export const textItem = (delta: string, index = 0) => ({ kind: "output.text", data: { delta, index } });

const LINES = { "content-type": "application/x-ndjson" };

export function handWorker(
  server: { readonly url: string },
  token: string,
  { name = "hand", types = ["render"] }: WorkerOptions = {},
): HandWorker {
  const authorization = `Bearer ${token}`;
  const send = (path: string, headers: Record<string, string>, body: BodyInit): Promise<WorkerAnswer> =>
    call("POST", `${server.url}/v1/worker/${path}`, { headers: { authorization, ...headers }, body });
  const ask: HandWorker["ask"] = (path, json, headers = {}) =>
    send(path, { "content-type": "application/json", ...headers }, JSON.stringify(json));

  const run = (job: LeasedBody): Run => {
    const lease = { "holdline-lease": job.leaseToken };
    const from = (first: number | null): Record<string, string> =>
      first === null ? lease : { ...lease, "holdline-item": String(first) };
    const path = `jobs/${job.id}`;
    const output: Run["output"] = (items, first = null) =>
      send(
        `${path}/output`,
        { ...from(first), ...LINES },
        items.map((item) => `${typeof item === "string" ? item : JSON.stringify(item)}\n`).join(""),
      );
    return {
      job,
      output,
      text: (...deltas) => output(deltas.map((delta) => textItem(delta))),
      audio: (bytes, first = null, type = "audio/pcm") =>
        send(`${path}/output`, { ...from(first), "content-type": type }, new Uint8Array(bytes)),
      stream(first) {
        const encoder = new TextEncoder();
        let controller: ReadableStreamDefaultController<Uint8Array> | null = null;
        const body = new ReadableStream<Uint8Array>({ start: (given) => void (controller = given) });
        const raw = (text: string): void => controller?.enqueue(encoder.encode(text));
        return {
          raw,
          line: (item) => raw(`${JSON.stringify(item)}\n`),
          end: () => controller?.close(),
          answer: send(`${path}/output`, { ...from(first ?? null), ...LINES }, body),
        };
      },
      beat: (sign = {}) =>
        ask("heartbeat", { worker: name, leases: [{ job: job.id, leaseToken: job.leaseToken, ...sign }] }),
      complete: (result = null) => ask(`${path}/complete`, { result }, lease),
      fail: (error = { code: "broken", message: "It broke." }) => ask(`${path}/fail`, error, lease),
      release: () => ask(`${path}/release`, {}, lease),
    };
  };

  const lease: HandWorker["lease"] = (wish = {}, signal = new AbortController().signal) => {
    const body = JSON.stringify({ worker: name, types, max: 1, waitMs: 10_000, ...wish });
    const headers = { authorization, "content-type": "application/json" };
    return fetch(`${server.url}/v1/worker/lease`, { method: "POST", headers, body, signal }).then(
      async (response) => {
        const text = await response.text();
        const parsed: unknown = text === "" ? {} : JSON.parse(text);
        return { status: response.status, headers: response.headers, text, body: parsed } as WorkerAnswer;
      },
    );
  };

  return {
    token,
    ask,
    lease,
    run,
    async take(wish) {
      const answer = await lease(wish);
      const [job] = answer.body.jobs ?? [];
      if (job === undefined) throw new Error(`no job was leased: ${answer.status} ${answer.text}`);
      const taken = run(job);
      await taken.beat();
      return taken;
    },
  };
}

/** A worker with a token of its own, which `flags` may narrow. */
export async function newWorker(
  server: TestServer,
  options: WorkerOptions & { readonly flags?: readonly string[] } = {},
): Promise<HandWorker> {
  const { token } = await issueToken(server, "worker", ...(options.flags ?? []));
  return handWorker(server, token, options);
}

/** Resolves when the server has that many polls waiting. */
export async function waiting(server: { readonly url: string }, polls: number): Promise<void> {
  await until(`${polls} polls to wait`, async () => {
    const text = await (await fetch(`${server.url}/metrics`)).text();
    return text.includes(`\nholdline_worker_polls ${polls}\n`);
  });
}
