/** As much of a server as a worker talks to, played by a test: it hands out jobs, keeps a record, and may disappear. */
import type { Server } from "bun";
import type { Json } from "../../protocol/events.ts";
import { itemSchema, type Control, type LeasedJobObject } from "../../protocol/workers.ts";

/** One job that was handed out, and all that came back. */
export interface Handed {
  readonly id: string;
  readonly lease: string;
  leasedMs: number | null;
  /** Items by their number. */
  readonly items: string[];
  /** What was wrong with what came: numbers, lines, writes after the end. */
  readonly faults: string[];
  /** When it was heard of by heartbeat. */
  readonly beats: number[];
  ended: { readonly how: string; readonly atMs: number } | null;
  /** What heartbeats are told, and writes from `lost` on refused. */
  state: "ok" | "cancel" | "lost";
  toldMs: number | null;
  /** Calls about it after it was told that it is lost, by a heartbeat or by the refusal of a write. */
  late: number;
}

export interface ScriptedServer {
  readonly url: string;
  readonly token: string;
  /** Puts a job in the queue. */
  add(): Handed;
  control: Control;
  /** When the worker asked for jobs, and with which wish. */
  readonly polls: { readonly atMs: number; readonly wish: Record<string, unknown> }[];
  /** As a SIGKILL: every connection is cut, nothing listens; what was taken is remembered. */
  kill(): Promise<void>;
  start(): void;
}

const TICK_MS = 10;

/** The port stays the same over a restart. `nowMs`: a steady clock; `pause` waits. */
export function createScriptedServer(
  { type, input }: { readonly type: string; readonly input: unknown },
  { nowMs, pause }: { readonly nowMs: () => number; readonly pause: (ms: number) => Promise<void> },
): ScriptedServer {
  const token = `hlw_${"c".repeat(49)}`;
  const queue: Handed[] = [];
  const handed = new Map<string, Handed>();
  const polls: ScriptedServer["polls"] = [];
  let control: Control = "run";
  let server: Server<undefined> | null = null;
  let port = 0;

  const reply = (status: number, body: unknown): Response => Response.json(body, { status });
  const problem = (status: number, code: string, extra: object = {}): Response =>
    reply(status, {
      type: `urn:holdline:problem:${code}`,
      title: code,
      status,
      detail: code,
      code,
      ...extra,
    });

  const leased = ({ id, lease: leaseToken }: Handed): LeasedJobObject => ({
    id,
    type,
    input: input as Json,
    attempt: 1,
    leaseToken,
    leaseMs: 30_000,
    timeoutMs: 600_000,
    traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    metadata: {},
  });

  const lease = async (wish: Record<string, unknown>, left: AbortSignal): Promise<Response> => {
    polls.push({ atMs: nowMs(), wish });
    const waitMs = typeof wish["waitMs"] === "number" ? wish["waitMs"] : 0;
    const wants = Array.isArray(wish["types"]) && wish["types"].includes(type);
    const untilMs = nowMs() + waitMs;
    const own = server;
    while ((queue.length === 0 || !wants) && control === "run" && nowMs() < untilMs) {
      await pause(TICK_MS);
      // Whoever hung up, or was cut off by a kill, must not take a job along.
      if (left.aborted || server !== own) return problem(503, "draining");
    }
    if (control !== "run") return reply(200, { jobs: [], control });
    const given = wants ? queue.splice(0, Number(wish["max"] ?? 1)) : [];
    if (given.length === 0) return new Response(null, { status: 204 });
    for (const job of given) job.leasedMs = nowMs();
    return reply(200, { jobs: given.map(leased), control });
  };

  const beat = (body: Record<string, unknown>): Response => {
    const leases = (body["leases"] as { job: string; leaseToken: string }[]).map(({ job, leaseToken }) => {
      const known = handed.get(job);
      if (known === undefined || known.lease !== leaseToken || known.ended !== null)
        return { job, status: "lost" };
      known.beats.push(nowMs());
      if (known.state !== "ok") known.toldMs ??= nowMs();
      if (known.state === "lost") return { job, status: "lost" };
      if (known.state === "ok") return { job, status: "ok", leaseMs: 30_000 };
      return { job, status: "cancel", leaseMs: 30_000, reason: "requested", stopWithinMs: 10_000 };
    });
    return reply(200, { leases, control });
  };

  /** Refuses a write: the first one that learns of the loss this way is told, those after it are late. */
  const lost = (job: Handed): Response => {
    if (job.toldMs === null) job.toldMs = nowMs();
    else job.late += 1;
    return problem(409, "lease_lost");
  };

  /** Takes one item under its number; those that were taken before are compared. */
  const take = (job: Handed, number: number, item: string): void => {
    const before = job.items[number];
    if (before === undefined) job.items.push(item);
    else if (before !== item) job.faults.push(`item ${number} was another one when it was said again`);
  };

  const output = async (request: Request, job: Handed): Promise<Response> => {
    const first = request.headers.get("holdline-item");
    let number = first === null ? job.items.length : Number(first);
    if (first === null)
      job.faults.push("the header Holdline-Item is missing: nothing could be said again safely");
    if (number > job.items.length) {
      job.faults.push(`items from ${number} on, when ${job.items.length} was next`);
      return problem(409, "item_gap", { next: job.items.length });
    }
    const isLines = /ndjson|jsonl/.test(request.headers.get("content-type") ?? "");
    if (!isLines) {
      take(job, number, new Uint8Array(await request.arrayBuffer()).toHex());
      return reply(200, { next: job.items.length, control });
    }
    let rest = "";
    const decoder = new TextDecoder();
    for await (const chunk of request.body ?? []) {
      if (job.state === "lost") return lost(job);
      if (job.ended !== null) return problem(409, "lease_lost");
      const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines.filter((one) => one.trim() !== "")) {
        if (!isItem(line)) job.faults.push(`a line that is no item: ${line.slice(0, 80)}`);
        take(job, number, line);
        number += 1;
      }
    }
    return reply(200, { next: job.items.length, control });
  };

  const answer = async (request: Request): Promise<Response> => {
    const path = new URL(request.url).pathname;
    if (request.headers.get("authorization") !== `Bearer ${token}`) return problem(401, "unauthenticated");
    if (path === "/v1/worker/lease")
      return lease((await request.json()) as Record<string, unknown>, request.signal);
    if (path === "/v1/worker/heartbeat") return beat((await request.json()) as Record<string, unknown>);
    const [, id = "", call = ""] = /^\/v1\/worker\/jobs\/([^/]+)\/(\w+)$/.exec(path) ?? [];
    const job = handed.get(id);
    if (job === undefined || request.headers.get("holdline-lease") !== job.lease)
      return problem(409, "lease_lost");
    if (job.state === "lost") return lost(job);
    if (call === "output") return job.ended === null ? output(request, job) : problem(409, "lease_lost");
    const same = job.ended?.how === call;
    if (job.ended !== null && !same) return problem(409, "lease_lost");
    job.ended ??= { how: call, atMs: nowMs() };
    return reply(200, { job: id, status: call === "complete" ? "succeeded" : "retrying" });
  };

  return {
    get url() {
      return `http://127.0.0.1:${port}`;
    },
    token,
    add() {
      const id = Bun.randomUUIDv7();
      const job: Handed = {
        id,
        lease: `lease-${id}`,
        leasedMs: null,
        items: [],
        faults: [],
        beats: [],
        ended: null,
        state: "ok",
        toldMs: null,
        late: 0,
      };
      handed.set(id, job);
      queue.push(job);
      return job;
    },
    get control() {
      return control;
    },
    set control(next) {
      control = next;
    },
    polls,
    async kill() {
      await server?.stop(true);
      server = null;
    },
    start() {
      server = Bun.serve({
        hostname: "127.0.0.1",
        port,
        idleTimeout: 120,
        development: false,
        fetch: (request) => answer(request).catch(() => problem(400, "invalid_request")),
      });
      port = server.port ?? port;
    },
  };
}

function isItem(line: string): boolean {
  try {
    return itemSchema.safeParse(JSON.parse(line)).success;
  } catch {
    return false;
  }
}
