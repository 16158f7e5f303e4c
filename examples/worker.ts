#!/usr/bin/env bun
/**
 * A Holdline worker in TypeScript without dependencies, for Bun or Node 22.18 and newer.
 *
 * It does one kind of job: `story` repeats a text word by word. Replace that by your own work; everything below it is
 * how a worker behaves (docs/protocol.md, section 6).
 *
 *     HOLDLINE_WORKER_TYPES=story npm start
 *     export HOLDLINE_WORKER_TOKEN=$(holdline token worker --name example)
 *     bun examples/worker.ts
 */
const SERVER = process.env["HOLDLINE_URL"] ?? "http://127.0.0.1:8787";
const TOKEN = process.env["HOLDLINE_WORKER_TOKEN"] ?? "";
const NAME = process.env["HOLDLINE_WORKER_NAME"] ?? `typescript-${process.pid}`;
const JOBS_AT_A_TIME = Number(process.env["HOLDLINE_WORKER_JOBS"] ?? 4);
const HEARTBEAT_MS = 10_000;
const AGAIN_MS = 500;

// The work ------------------------------------------------------------------------------------------------------------

interface StoryInput {
  text: string;
  pauseMs?: number;
}

/** `{"text": "…", "pauseMs": 50}` → the same text, a word at a time. */
async function story(run: Run): Promise<unknown> {
  const { text, pauseMs = 50 } = run.job.input as StoryInput;
  const words = text.split(" ");
  for (const [number, word] of words.entries()) {
    run.text((number === 0 ? "" : " ") + word);
    run.progress = { ratio: (number + 1) / words.length };
    await run.pause(pauseMs);
  }
  return { words: words.length };
}

const WORK: Record<string, (run: Run) => Promise<unknown>> = { story };

// How a worker talks to the server ------------------------------------------------------------------------------------

interface Job {
  id: string;
  type: string;
  input: unknown;
  leaseToken: string;
}

type StopReason = "cancel" | "lost" | "release";

/** What the server answers, all calls in one; a problem has `code` and `detail`. */
interface Answer {
  jobs?: Job[];
  leases?: { status: "ok" | "cancel" | "lost" }[];
  next?: number;
  status?: string;
  control?: "run" | "quiet" | "terminate";
  code?: string;
  detail?: string;
}

/** The run is to end: `cancel` and `release` are told to the server, `lost` is not. */
class Stopped extends Error {
  readonly reason: StopReason;
  constructor(reason: StopReason) {
    super(reason);
    this.reason = reason;
  }
}

/** The server said no, and would say it again. */
class Refused extends Error {
  readonly code: string;
  constructor(status: number, problem: Answer) {
    super(`${status} ${problem.code ?? ""}: ${problem.detail ?? ""}`);
    this.code = problem.code ?? "";
  }
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const log = (text: string): void => void process.stderr.write(`${text}\n`);

/** One POST. Throws Refused, or anything else when it may be said again: no server, a busy one, one that ends. */
async function post(
  path: string,
  headers: Record<string, string>,
  body: BodyInit,
  signal: AbortSignal | null = null,
): Promise<Answer> {
  const response = await fetch(`${SERVER}/v1/worker/${path}`, {
    method: "POST",
    headers: { Authorization: `Bearer ${TOKEN}`, ...headers },
    body,
    signal,
    // For Node, whose fetch wants it said that a body is streamed.
    ...({ duplex: "half" } as object),
  });
  const text = await response.text();
  const answer = (text === "" ? {} : JSON.parse(text)) as Answer;
  if (response.status >= 500 || response.status === 429) throw new Error(`${response.status} ${answer.code ?? ""}`);
  if (response.status >= 400) throw new Refused(response.status, answer);
  return answer;
}

/** The same in JSON, until it is answered: every call of a worker may be repeated. */
async function call(path: string, body: unknown, lease?: string, signal?: AbortSignal): Promise<Answer> {
  const headers = { "Content-Type": "application/json", ...(lease ? { "Holdline-Lease": lease } : {}) };
  for (;;) {
    try {
      return await post(path, headers, JSON.stringify(body), signal);
    } catch (error) {
      if (error instanceof Refused) throw error;
      signal?.throwIfAborted();
      log(`the server does not answer (${(error as Error).message}), once more`);
      await sleep(AGAIN_MS);
    }
  }
}

/** One run of one job: its output goes out in one long request, a line for each item. */
class Run {
  readonly job: Job;
  progress: { ratio: number } | null = null;
  /** Every item of this run, so that what may have been lost can be said again. */
  readonly #lines: string[] = [];
  /** Of these the server has told that it has them. */
  #taken = 0;
  #stream: ReadableStreamDefaultController<Uint8Array> | null = null;
  /** The answer to the stream, and what it says when it comes before the end. */
  #answer: Promise<void> = Promise.resolve();
  #stop = new AbortController();

  constructor(job: Job) {
    this.job = job;
  }

  stop(reason: StopReason): void {
    this.#stop.abort(new Stopped(reason));
  }

  /** Waits, and is where a run notices that it is to stop. */
  async pause(ms: number): Promise<void> {
    const { signal } = this.#stop;
    if (!signal.aborted && ms > 0) {
      await Promise.race([sleep(ms), new Promise((resolve) => signal.addEventListener("abort", resolve))]);
    }
    signal.throwIfAborted();
  }

  text(delta: string, index = 0): void {
    this.item("output.text", { delta, index });
  }

  item(kind: string, data: unknown): void {
    this.#stop.signal.throwIfAborted();
    const line = `${JSON.stringify({ kind, data })}\n`;
    this.#lines.push(line);
    if (this.#stream === null) this.#open();
    else this.#stream.enqueue(new TextEncoder().encode(line));
  }

  /** Opens a stream and says everything that the server may not have; it passes over what it has. */
  #open(): void {
    const body = new ReadableStream<Uint8Array>({ start: (controller) => void (this.#stream = controller) });
    const stream = this.#stream;
    stream?.enqueue(new TextEncoder().encode(this.#lines.slice(this.#taken).join("")));
    const headers = {
      "Content-Type": "application/x-ndjson",
      "Holdline-Lease": this.job.leaseToken,
      "Holdline-Item": String(this.#taken),
    };
    this.#answer = post(`jobs/${this.job.id}/output`, headers, body).then(
      ({ next }) => {
        this.#taken = next ?? this.#taken;
        if (this.#stream === stream) this.#stream = null;
      },
      async (error: unknown) => {
        if (this.#stream === stream) this.#stream = null;
        if (error instanceof Refused) this.stop(error.code === "lease_lost" ? "lost" : "release");
        else await sleep(AGAIN_MS);
      },
    );
  }

  /** All that was said is stored when this resolves. */
  async finish(): Promise<void> {
    while (this.#taken < this.#lines.length) {
      this.#stop.signal.throwIfAborted();
      if (this.#stream === null) this.#open();
      this.#stream?.close();
      this.#stream = null;
      await this.#answer;
    }
  }

  async #end(how: "complete" | "fail" | "release", body: unknown): Promise<void> {
    try {
      const { status } = await call(`jobs/${this.job.id}/${how}`, body, this.job.leaseToken);
      log(`${this.job.id}: ${how}, now ${status}`);
    } catch (error) {
      log(`${this.job.id}: ${(error as Error).message}`);
    }
    // A stream that is still open is answered by now: its run is over.
    await this.#answer;
  }

  async work(): Promise<void> {
    try {
      const result = await WORK[this.job.type]?.(this);
      await this.finish();
      await this.#end("complete", { result });
    } catch (error) {
      if (!(error instanceof Stopped)) {
        log(`${this.job.id}: ${String(error)}`);
        await this.#end("fail", { code: "worker_failed", message: "The worker failed." });
      } else if (error.reason === "lost") log(`${this.job.id}: the lease is lost`);
      else await this.#end("release", {});
    }
  }
}

// The worker ----------------------------------------------------------------------------------------------------------

const runs = new Map<string, Run>();
/** Aborted when this program is to end: it hangs up on a poll that waits. */
const ending = new AbortController();

function obey(control: Answer["control"]): Answer["control"] {
  if (control === "terminate") for (const run of runs.values()) run.stop("release");
  return control;
}

/** Beside everything else, streamed bodies too: this is how leases live and how a cancel arrives. */
async function heartbeat(): Promise<void> {
  const held = [...runs.values()];
  if (held.length === 0) return;
  const leases = held.map(({ job, progress }) => ({
    job: job.id,
    leaseToken: job.leaseToken,
    ...(progress === null ? {} : { progress }),
  }));
  const answer = await call("heartbeat", { worker: NAME, leases });
  for (const [index, { status }] of (answer.leases ?? []).entries()) {
    if (status !== "ok") held[index]?.stop(status);
  }
  obey(answer.control);
}

async function serve(): Promise<void> {
  log(`${NAME} serves ${Object.keys(WORK).join(", ")}`);
  setInterval(() => void heartbeat(), HEARTBEAT_MS);
  while (!ending.signal.aborted) {
    const free = JOBS_AT_A_TIME - runs.size;
    if (free === 0) {
      await sleep(50);
      continue;
    }
    const wish = { worker: NAME, types: Object.keys(WORK), max: free, waitMs: 30_000 };
    const answer = await call("lease", wish, undefined, ending.signal);
    const { jobs = [], control = "run" } = answer;
    for (const job of jobs) {
      const run = new Run(job);
      runs.set(job.id, run);
      void run.work().finally(() => runs.delete(job.id));
    }
    // At once: a lease that nobody is heard of for 5 s goes back.
    if (jobs.length > 0) void heartbeat();
    // It drains: give it time to be replaced.
    if (obey(control) !== "run") await sleep(2000);
  }
}

async function end(): Promise<void> {
  if (ending.signal.aborted) process.exit(1);
  ending.abort();
  log("ending: the jobs are given back");
  for (const run of runs.values()) run.stop("release");
  while (runs.size > 0) await sleep(20);
  process.exit(0);
}

if (TOKEN === "") {
  log("Set HOLDLINE_WORKER_TOKEN; `holdline token worker` makes one.");
  process.exit(1);
}
process.on("SIGTERM", () => void end());
process.on("SIGINT", () => void end());
serve().catch((error: unknown) => {
  if (ending.signal.aborted) return;
  log(`The server does not let this worker work: ${(error as Error).message}`);
  process.exit(1);
});
