/** A socket whose other end is the test: what it takes, what it keeps waiting, and when it drains. */
import type { Socket } from "../../src/hub/connection.ts";
import { decodeBinaryFrame } from "../../src/protocol/binary.ts";
import type { ServerFrame } from "../../src/protocol/frames.ts";
import { isTerminalKind } from "../../src/protocol/events.ts";

/** A frame of a log, of either form. */
export interface SeenEvent {
  readonly job: string;
  readonly first: number;
  readonly seq: number;
  readonly attempt: number;
  readonly kind: string;
  readonly data: unknown;
  readonly terminal: boolean;
}

export interface FakeSocket extends Socket {
  /** Everything it took, in order. */
  readonly taken: (string | Uint8Array)[];
  readonly closes: { readonly code: number; readonly reason: string }[];
  /** What the next sends return; afterwards, and at first, the size of what was sent. */
  readonly answers: number[];
  /** What `getBufferedAmount` says. */
  buffered: number;
  /** Writes that went out together, by their number of frames. */
  readonly corks: number[];
  events(): SeenEvent[];
  /** `1 2 3-5`: the entries of a job as they came. */
  seqs(job: string): string;
  frames(): ServerFrame[];
}

function toEvent(data: string | Uint8Array): SeenEvent | null {
  if (typeof data !== "string") {
    const frame = decodeBinaryFrame(data);
    if (frame === null) throw new Error("a binary frame that nobody can read");
    const { job, seq, attempt, kind, payload } = frame;
    return { job, first: seq, seq, attempt, kind, data: payload, terminal: false };
  }
  const frame = JSON.parse(data) as ServerFrame;
  if (frame.type !== "event") return null;
  const { job, seq, first = seq, attempt, kind, terminal = false } = frame;
  if (terminal !== isTerminalKind(kind)) throw new Error(`terminal is wrong on ${kind}`);
  return { job, first, seq, attempt, kind, data: frame.data, terminal };
}

export function createFakeSocket(): FakeSocket {
  const taken: (string | Uint8Array)[] = [];
  const closes: { code: number; reason: string }[] = [];
  const answers: number[] = [];
  const corks: number[] = [];
  const events = (): SeenEvent[] =>
    taken.flatMap((data) => {
      const event = toEvent(data);
      return event === null ? [] : [event];
    });
  return {
    taken,
    closes,
    answers,
    corks,
    buffered: 0,
    send(data) {
      if (closes.length > 0) throw new Error("sent to a closed socket");
      const answer = answers.shift() ?? data.length;
      if (answer !== 0) taken.push(data);
      return answer;
    },
    close: (code, reason) => void closes.push({ code, reason }),
    cork(run) {
      const before = taken.length;
      run();
      corks.push(taken.length - before);
    },
    getBufferedAmount() {
      return this.buffered;
    },
    events,
    seqs: (job) =>
      events()
        .filter((event) => event.job === job)
        .map(({ first, seq }) => (first === seq ? `${seq}` : `${first}-${seq}`))
        .join(" "),
    frames: () =>
      taken.flatMap((data) => (typeof data === "string" ? [JSON.parse(data) as ServerFrame] : [])),
  };
}
