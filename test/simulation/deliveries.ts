/** Watches every frame the server hands to a socket: is it committed, does it follow, may this connection have it. */
import { decodeBinaryFrame } from "../../src/protocol/binary.ts";
import { isTerminalKind } from "../../src/protocol/events.ts";
import type {
  AttachedFrame,
  ClientFrame,
  EventFrame,
  ServerFrame,
  WelcomeFrame,
} from "../../src/protocol/frames.ts";
import type { KnownJob, Model } from "./model.ts";
import { violate, type Scene } from "./scene.ts";
import type { SimulatedSocket, SocketWatch } from "./socket.ts";

/** What a connection was told of one job. */
interface Followed {
  cursor: number;
  /** Nothing may follow. */
  over: boolean;
}

interface Known {
  sessionId: string | null;
  userId: string | null;
  readonly jobs: Map<string, Followed>;
  /** Frames that ask for something and were not answered yet. */
  readonly asked: Map<string, ClientFrame>;
  listed: ReadonlySet<string>;
}

export interface Deliveries extends SocketWatch {
  /** From now on nothing may go to this session's sockets: the server said that it is over. */
  ended(sessionId: string): void;
  /** Bytes of the largest frame so far: what one more may add to a queue. */
  readonly largest: number;
}

/** What the entries first…seq hold, as one frame has to say it. */
function contentOf(job: KnownJob, first: number, seq: number): { kind: string; data: unknown } | null {
  const entries = job.log.slice(first - 1, seq);
  const last = entries.at(-1);
  if (last === undefined || entries.length !== seq - first + 1) return null;
  if (typeof last.data !== "string") return { kind: last.kind, data: last.data };
  if (first === seq) return { kind: last.kind, data: JSON.parse(last.data) as unknown };
  const parts = entries.map(({ data }) => JSON.parse(String(data)) as { delta: string; index: number });
  const same = entries.every(({ kind, attempt }) => kind === "output.text" && attempt === last.attempt);
  if (!same || parts.some(({ index }) => index !== parts[0]?.index)) return null;
  return {
    kind: last.kind,
    data: { delta: parts.map(({ delta }) => delta).join(""), index: parts[0]?.index },
  };
}

/** A frame of sound without the sound, which no log holds. */
function isSoundless(data: unknown): boolean {
  return data instanceof Uint8Array && data.byteLength === 0;
}

/** Another job of its lane took its place: sockets are spared its sound. */
function gaveWay({ log }: KnownJob): boolean {
  return log.some(
    ({ kind, data }) => /^job\.cancel(?:ing|ed)$/.test(kind) && String(data).includes('"reason":"lane"'),
  );
}

interface Shown {
  readonly first: number;
  readonly seq: number;
  readonly kind: string;
  readonly data: unknown;
}

/** Whether what is shown of a job is what stands in its log. */
export function isAsStored(job: KnownJob, { first, seq, kind, data }: Shown): boolean {
  const stored = contentOf(job, first, seq);
  if (stored?.kind !== kind) return false;
  return Bun.deepEquals(stored.data, data) || (isSoundless(data) && gaveWay(job));
}

/** The text number 0 of the run that stands after `seq` entries. */
export function textAfter(job: KnownJob, seq: number): string {
  let text = "";
  for (const { kind, data } of job.log.slice(0, seq)) {
    if (kind === "output.reset") text = "";
    if (kind !== "output.text") continue;
    const { delta, index } = JSON.parse(String(data)) as { delta: string; index: number };
    if (index === 0) text += delta;
  }
  return text;
}

/** A frame in a few words, for the trace. */
function wordsOf(frame: ServerFrame): string {
  if (frame.type === "event") return `${frame.kind} ${frame.first ?? frame.seq}…${frame.seq}`;
  if (frame.type === "attached") return `attached ${frame.after} of ${frame.head} ${frame.reason ?? ""}`;
  if (frame.type === "error") return `error ${frame.code}`;
  return frame.type === "goodbye" ? `goodbye ${frame.reason}` : frame.type;
}

/** How long it may take until another node has heard that a session is over, though the hint be late, or lost. */
const ENDED_ELSEWHERE_MS = 5000;

export function createDeliveries(scene: Scene, model: Model): Deliveries {
  const known = new WeakMap<SimulatedSocket, Known>();
  /** When the server said that a session is over. */
  const over = new Map<string, number>();
  const { sometimes } = scene;
  let largest = 0;

  const of = (socket: SimulatedSocket): Known => {
    let entry = known.get(socket);
    if (entry === undefined) {
      entry = { sessionId: null, userId: null, jobs: new Map(), asked: new Map(), listed: new Set() };
      known.set(socket, entry);
    }
    return entry;
  };

  /** Until when a session that ended may be told something: the node that has its socket may be another one. */
  const lastMs = ({ process }: SimulatedSocket, endedMs: number): number =>
    scene.faults.nodes === 1 ? endedMs : Math.max(endedMs, process.frozenUntilMs) + ENDED_ELSEWHERE_MS;

  const event = (
    socket: SimulatedSocket,
    to: Known,
    {
      job: id,
      seq,
      first = seq,
      kind,
      data,
    }: Pick<EventFrame, "job" | "seq" | "first" | "kind"> & { data: unknown },
  ): void => {
    const job = model.job(id);
    const where = `${socket.name} ${kind} ${first}…${seq} of ${job?.wish ?? id}`;
    if (job === null || seq > job.log.length) {
      violate(scene, "nothing is seen that is not committed", where);
      return;
    }
    if (!isAsStored(job, { first, seq, kind, data })) violate(scene, "the same seq is the same bytes", where);
    if (to.userId !== job.userId)
      violate(scene, "no event reaches who may not have it", `${where}, ${to.userId}`);
    const endedMs = to.sessionId === null ? undefined : over.get(to.sessionId);
    if (endedMs !== undefined && scene.timeline.nowMs > lastMs(socket, endedMs))
      violate(scene, "no event reaches who may not have it", `${where} after its session ended`);
    const followed = to.jobs.get(id);
    if (followed === undefined) {
      if (first !== 1) violate(scene, "a log is sent from its cursor on", `${where}, never attached`);
      if (to.listed.has(id)) violate(scene, "what the welcome lists waits for an attach", where);
      sometimes.reached("a job is followed by itself");
    } else {
      if (followed.over) violate(scene, "nothing follows the terminal event", where);
      if (first !== followed.cursor + 1)
        violate(scene, "a log is sent from its cursor on", `${where} follows ${followed.cursor}`);
    }
    if (first < seq) sometimes.reached("entries are folded");
    to.jobs.set(id, { cursor: seq, over: isTerminalKind(kind) });
  };

  const attached = (socket: SimulatedSocket, to: Known, frame: AttachedFrame): void => {
    const job = model.job(frame.job);
    const where = `${socket.name} attached to ${job?.wish ?? frame.job} after ${frame.after}`;
    if (job === null || job.userId !== to.userId) {
      violate(scene, "no event reaches who may not have it", where);
      return;
    }
    if (frame.head > job.log.length) violate(scene, "nothing is seen that is not committed", where);
    if (socket.process.unanswered > 0) sometimes.reached("an attach while a commit is not announced");
    if (frame.recovered) {
      if (frame.after > frame.head) violate(scene, "a resume is whole, or it is told", `${where}, ahead`);
      sometimes.reached(frame.after > 0 ? "a log is resumed" : "a log is read from its beginning");
      if (frame.head > frame.after && frame.after > 0)
        sometimes.reached("a resume has something to catch up with");
      to.jobs.set(frame.job, { cursor: frame.after, over: frame.terminal && frame.after >= frame.head });
      return;
    }
    sometimes.reached(`a resume is told: ${frame.reason}`);
    if (frame.reason === "ahead" ? frame.after <= frame.head : frame.after >= frame.oldest - 1)
      violate(scene, "a resume is whole, or it is told", `${where}: ${frame.reason} is not true`);
    const { output } = frame;
    if (output === undefined) {
      violate(scene, "a resume is whole, or it is told", `${where}: no output`);
      return;
    }
    if (job.oldest === 1 && output.text !== textAfter(job, output.seq))
      violate(scene, "a resume is whole, or it is told", `${where}: other output up to ${output.seq}`);
    to.jobs.set(frame.job, { cursor: output.seq, over: output.seq >= frame.head && frame.terminal });
  };

  const note = (socket: SimulatedSocket, what: string, job: string | null): void =>
    scene.trace.note(`${socket.name} ← ${what} ${job === null ? "" : (model.job(job)?.wish ?? job)}`);

  const answered = (socket: SimulatedSocket, to: Known, re: string, isOk: boolean): void => {
    const asked = to.asked.get(re);
    to.asked.delete(re);
    if (asked === undefined || !isOk) return;
    if (asked.type === "detach") to.jobs.set(asked.job, { cursor: 0, over: true });
    if (asked.type !== "ack") return;
    const job = model.job(asked.job);
    if (job === null || job.userId !== to.userId || asked.seq > job.log.length)
      violate(scene, "a receipt is for what there is", `${socket.name} seq ${asked.seq} of ${job?.wish}`);
  };

  const welcome = (socket: SimulatedSocket, to: Known, frame: WelcomeFrame): void => {
    to.sessionId = frame.session.id;
    to.userId = frame.session.userId;
    to.listed = new Set(frame.jobs.map(({ id }) => id));
    if (frame.session.resumed) sometimes.reached("a session is resumed");
    for (const { id, head } of frame.jobs) {
      const job = model.job(id);
      if (job === null || job.userId !== to.userId || head > job.log.length)
        violate(
          scene,
          "nothing is seen that is not committed",
          `${socket.name} is welcomed with ${job?.wish}`,
        );
    }
  };

  return {
    get largest() {
      return largest;
    },
    ended(sessionId) {
      if (!over.has(sessionId)) over.set(sessionId, scene.timeline.nowMs);
    },

    sent(socket, data) {
      const to = of(socket);
      const bytes = typeof data === "string" ? Buffer.byteLength(data) : data.byteLength;
      largest = Math.max(largest, bytes);
      if (typeof data !== "string") {
        const frame = decodeBinaryFrame(data);
        if (frame !== null) note(socket, `${frame.kind} ${frame.seq}`, frame.job);
        if (frame === null) violate(scene, "frames can be read", socket.name);
        else event(socket, to, { ...frame, data: frame.payload });
      } else {
        const frame = JSON.parse(data) as ServerFrame;
        note(socket, wordsOf(frame), "job" in frame ? frame.job : null);
        if (frame.type === "event") event(socket, to, frame);
        else if (frame.type === "welcome") welcome(socket, to, frame);
        else if (frame.type === "attached") attached(socket, to, frame);
        if ("re" in frame && frame.re !== undefined) answered(socket, to, frame.re, frame.type === "ok");
      }
      // One frame may be added to what waits when there is room; frames that are no part of a log come on top.
      if (socket.buffered > scene.faults.queueBytes + largest + 16_384)
        violate(scene, "queues are bounded", `${socket.name} has ${socket.buffered} bytes waiting`);
    },

    closed: () => undefined,

    received(socket, text) {
      const to = of(socket);
      let frame: ClientFrame;
      try {
        frame = JSON.parse(text) as ClientFrame;
      } catch {
        return;
      }
      const job = "job" in frame ? (model.job(frame.job)?.wish ?? frame.job) : "";
      const at = frame.type === "attach" ? frame.after : frame.type === "ack" ? frame.seq : "";
      scene.trace.note(`${socket.name} → ${frame.type} ${job} ${at}`);
      if (frame.id !== undefined) to.asked.set(frame.id, frame);
    },
  };
}
