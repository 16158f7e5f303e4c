/**
 * One user of the load: a session that is kept connected (by the shipped client's own connection), submits under
 * idempotency keys until it is answered, follows what it handed in from its cursors, and writes all of it down.
 */
import { createConnection, type ConnectionState } from "../../client/connection.ts";
import { createMemory } from "../../client/memory.ts";
import { type Clock, sleep } from "../../lib/clock.ts";
import type { BinaryFrame } from "../../protocol/binary.ts";
import type { AttachedFrame, EventFrame, ServerFrame } from "../../protocol/frames.ts";
import type { Flaw } from "./flaw.ts";
import {
  contentOf,
  contentOfBytes,
  createHistory,
  type Delivery,
  type Operation,
  type SeenEvent,
} from "./history.ts";

/** How long one try to submit may take before it counts as unanswered. */
const SUBMIT_LIMIT_MS = 10_000;
/** Between two tries: about as often as a restart takes. */
const SUBMIT_AGAIN_MS = 200;

export interface LoadClientOptions {
  readonly name: string;
  /** `http://host:port`, the same after every restart. */
  readonly url: string;
  readonly clock: Clock;
  readonly random: () => number;
  /** A lost connection is welcome again. `lostMs`: the clock when it was lost. */
  readonly onResumed?: (lostMs: number) => void;
}

export interface LoadClient {
  readonly name: string;
  /** Every operation so far. */
  readonly operations: readonly Operation[];
  /** Jobs that were answered with a 202. */
  readonly accepted: number;
  /** What was noticed beside the logs: a resume that was not recovered. */
  readonly flaws: readonly Flaw[];
  /** The session's newest token; null before the first welcome. */
  readonly token: string | null;
  /** Resolves when the session is welcome for the first time. */
  connected(): Promise<void>;
  /** Hands a job in; resolves with its id after the 202, however often it had to ask. Rejects when it is refused or stopped. */
  submit(key: string, body: object): Promise<string>;
  /** Resolves when the terminal event has arrived. */
  finished(job: string): Promise<void>;
  /** What arrived of a job so far, and forgets it when it has ended: the caller has it now. */
  take(job: string): readonly Delivery[];
  close(): void;
}

/** A job that is being followed. */
interface Followed {
  readonly deliveries: {
    readonly connection: number;
    readonly after: number;
    readonly events: SeenEvent[];
  }[];
  cursor: number;
  ended: boolean;
  /** Of the attach that was sent last and not answered yet. */
  attaching: Operation | null;
  readonly done: PromiseWithResolvers<void>;
}

const isEvent = (frame: ServerFrame | BinaryFrame): frame is EventFrame | BinaryFrame =>
  "payload" in frame || frame.type === "event";

function seenOf(frame: EventFrame | BinaryFrame): SeenEvent {
  const { seq, attempt, kind } = frame;
  if ("payload" in frame) {
    const content = contentOfBytes(frame.payload);
    return { first: seq, seq, attempt, kind, at: null, terminal: false, content };
  }
  const content = contentOf(kind, frame.data);
  return {
    first: frame.first ?? seq,
    seq,
    attempt,
    kind,
    at: frame.at,
    terminal: frame.terminal === true,
    content,
  };
}

export function createLoadClient(options: LoadClientOptions): LoadClient {
  const { clock, name, random } = options;
  const history = createHistory();
  const flaws: Flaw[] = [];
  const jobs = new Map<string, Followed>();
  /** Terminal events that the server has no receipt for yet, by job. */
  const receipts = new Map<string, number>();
  const answers = new Map<string, Operation>();
  const memory = createMemory({ storage: null, key: name, clock });
  const stopped = new AbortController();
  const welcome = Promise.withResolvers<void>();
  let connections = 0;
  const accepted = new Set<string>();
  let lostMs: number | null = null;
  let asked = 0;
  let connecting: Operation | null = null;

  const connection = createConnection({
    url: `${options.url.replace(/^http/, "ws")}/v1/connect`,
    socketClass: WebSocket,
    clock,
    random,
    credential: null,
    strictBinding: false,
    memory,
    onFrame: hear,
    onSent: () => undefined,
    onState: changed,
  });

  function finish(operation: Operation, outcome: Operation["outcome"], detail: string | null = null): void {
    Object.assign(operation, { outcome, detail, endedMs: clock.elapsedMs() });
  }

  function followed(job: string): Followed {
    const known = jobs.get(job);
    if (known !== undefined) return known;
    const made: Followed = {
      deliveries: [],
      cursor: 0,
      ended: false,
      attaching: null,
      done: Promise.withResolvers(),
    };
    jobs.set(job, made);
    return made;
  }

  function changed(state: ConnectionState): void {
    if (state.phase === "connecting") {
      connecting = history.begin("connect", clock.elapsedMs());
    } else if (state.phase === "online") {
      connections += 1;
      if (connecting !== null) finish(connecting, "ok");
      if (connections > 1 && !state.welcome.session.resumed)
        flaws.push({ kind: "lost", text: `${name}: the session was not resumed` });
      if (lostMs !== null) options.onResumed?.(lostMs);
      lostMs = null;
      welcome.resolve();
      for (const [job, one] of jobs) if (!one.ended) attach(job, one);
      for (const [job, seq] of receipts) acknowledge(job, seq);
    } else {
      if (connecting?.outcome === "invoked") finish(connecting, "failed", state.cause);
      // Whatever was asked and not answered on the old socket: nobody knows.
      for (const operation of answers.values()) finish(operation, "unknown", state.cause);
      answers.clear();
      for (const one of jobs.values()) one.attaching = null;
      if (connections > 0) lostMs ??= clock.elapsedMs();
      if (state.phase === "closed" && !stopped.signal.aborted)
        flaws.push({ kind: "lost", text: `${name}: the session ended (${state.cause})` });
    }
  }

  /** Writes down that a frame is sent and finds it again by the id that the answer bears. */
  function ask(operation: Operation, job: string): string {
    asked += 1;
    operation.job = job;
    answers.set(String(asked), operation);
    return String(asked);
  }
  function attach(job: string, one: Followed): void {
    one.attaching = history.begin("attach", clock.elapsedMs());
    const id = ask(one.attaching, job);
    connection.send({ type: "attach", id, job, after: one.cursor });
  }
  function acknowledge(job: string, seq: number): void {
    const id = ask(history.begin("ack", clock.elapsedMs()), job);
    connection.send({ type: "ack", id, job, seq });
  }

  function hear(frame: ServerFrame | BinaryFrame): void {
    if (isEvent(frame)) {
      take(frame);
      return;
    }
    if (frame.type !== "attached" && frame.type !== "ok" && frame.type !== "error") return;
    const operation = answers.get(frame.re ?? "");
    if (operation === undefined) return;
    answers.delete(frame.re ?? "");
    finish(operation, frame.type === "error" ? "failed" : "ok", frame.type === "error" ? frame.detail : null);
    if (frame.type === "attached") attached(frame);
    else if (operation.name === "ack" && operation.job !== null) receipts.delete(operation.job);
    if (frame.type === "error" && operation.name === "attach")
      flaws.push({ kind: "lost", text: `${name}: job ${operation.job} cannot be followed: ${frame.detail}` });
  }
  function attached({ job, after, recovered, reason }: AttachedFrame): void {
    const one = followed(job);
    one.attaching = null;
    one.deliveries.push({ connection: connections, after, events: [] });
    if (recovered) return;
    // What was seen was committed and nothing is trimmed so early: the server has forgotten what it said.
    flaws.push({ kind: "lost", text: `job ${job}: cannot be resumed after seq ${after} (${reason})` });
    one.ended = true;
    one.done.resolve();
  }
  function take(frame: EventFrame | BinaryFrame): void {
    const one = followed(frame.job);
    const event = seenOf(frame);
    let delivery = one.deliveries.at(-1);
    // Attached by itself, because it was handed in on this connection.
    if (delivery?.connection !== connections) {
      delivery = { connection: connections, after: 0, events: [] };
      one.deliveries.push(delivery);
    }
    delivery.events.push(event);
    one.cursor = Math.max(one.cursor, event.seq);
    if (!event.terminal || one.ended) return;
    one.ended = true;
    receipts.set(frame.job, event.seq);
    acknowledge(frame.job, event.seq);
    one.done.resolve();
  }

  async function tryToSubmit(
    operation: Operation,
    key: string,
    body: string,
  ): Promise<{ id: string; replayed: boolean } | null> {
    try {
      const answer = await fetch(`${options.url}/v1/jobs`, {
        method: "POST",
        headers: {
          authorization: `Bearer ${memory.token ?? ""}`,
          "content-type": "application/json",
          "idempotency-key": `"${key}"`,
        },
        body,
        signal: AbortSignal.any([stopped.signal, AbortSignal.timeout(SUBMIT_LIMIT_MS)]),
        proxy: false,
      });
      const text = await answer.text();
      if (answer.status === 202) {
        const { id } = JSON.parse(text) as { id: string };
        operation.job = id;
        finish(operation, "ok");
        return { id, replayed: answer.headers.get("idempotent-replayed") === "true" };
      }
      // 503 does not say that nothing was done; other refusals do.
      finish(operation, answer.status >= 500 ? "unknown" : "failed", `${answer.status} ${text}`);
      if (answer.status < 500) throw new Refused(`submit ${key}: ${answer.status} ${text}`);
    } catch (error) {
      if (error instanceof Refused) throw error;
      finish(operation, "unknown", String(error));
    }
    return null;
  }

  return {
    name,
    operations: history.operations,
    flaws,
    get accepted() {
      return accepted.size;
    },
    get token() {
      return memory.token;
    },
    async connected() {
      connection.connect();
      await welcome.promise;
    },
    async submit(key, body) {
      const text = JSON.stringify(body);
      for (;;) {
        const startedOn = connection.state.phase === "online" ? connections : 0;
        const answer = await tryToSubmit(history.begin("submit", clock.elapsedMs(), key), key, text);
        if (answer !== null) {
          const { id, replayed } = answer;
          accepted.add(id);
          const one = followed(id);
          const online = connection.state.phase === "online";
          // Accepted for the first time, on the connection that is still open: it is attached by itself.
          const attachedByItself = !replayed && online && startedOn === connections;
          if (!attachedByItself && online && !one.ended && one.attaching === null) attach(id, one);
          return id;
        }
        await sleep(clock, random() * SUBMIT_AGAIN_MS, stopped.signal);
      }
    },
    finished: (job) => followed(job).done.promise,
    take(job) {
      const { deliveries, ended } = followed(job);
      if (ended) jobs.delete(job);
      return deliveries;
    },
    close() {
      stopped.abort(new Error("the load is over"));
      connection.close(0, "done");
    },
  };
}

class Refused extends Error {
  override readonly name = "Refused";
}
