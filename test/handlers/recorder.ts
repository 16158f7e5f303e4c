/** A running job that only remembers: what a handler writes, in order, with a disk that can be slow, full or gone. */
import type { PreviousJob, RunningJob } from "../../src/handlers/handler.ts";
import { createRunLog } from "../../src/handlers/job-log.ts";
import type { LogFields } from "../../src/lib/logger.ts";
import type { AudioFormat, Json } from "../../src/protocol/events.ts";

/** One call of the handler, in the order of the calls. */
export type Entry =
  | { readonly kind: "text"; readonly delta: string; readonly index: number }
  | { readonly kind: "format"; readonly format: AudioFormat }
  | { readonly kind: "audio"; readonly bytes: Uint8Array }
  | { readonly kind: "data"; readonly value: Json | Uint8Array }
  | { readonly kind: "progress"; readonly ratio: number | null; readonly message: string | undefined }
  | { readonly kind: "checkpoint"; readonly value: Json };

export interface RecorderOptions {
  readonly attempt?: number;
  readonly idleMs?: number;
  readonly lastCheckpoint?: Json;
  readonly previous?: Readonly<Record<string, PreviousJob>>;
  /** Called before an entry counts as committed: may wait (a slow disk) or throw (a full one). */
  readonly commit?: (entry: Entry) => Promise<void> | void;
}

export interface Recorder {
  readonly job: RunningJob;
  readonly entries: readonly Entry[];
  /** What was logged, each with its message. */
  readonly logged: readonly { readonly fields: LogFields; readonly message: string }[];
  /** All text of one index. */
  text(index?: number): string;
  /** All sound, one chunk after the other. */
  audio(): Uint8Array;
  data(): readonly (Json | Uint8Array)[];
  formats(): readonly AudioFormat[];
  abort(reason: unknown): void;
  /** Resolves as soon as an entry of this kind is (or was) written. */
  seen(kind: Entry["kind"]): Promise<void>;
}

export const TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/** A job that keeps to the contract of handlers: writes are in the order of the calls, and end with the signal. */
export function createRecorder(options: RecorderOptions = {}): Recorder {
  const entries: Entry[] = [];
  const logged: { fields: LogFields; message: string }[] = [];
  const abortion = new AbortController();
  const aborted = Promise.withResolvers<never>();
  aborted.promise.catch(() => undefined); // most tests never abort, and then nobody listens
  abortion.signal.addEventListener("abort", () => aborted.reject(abortion.signal.reason));
  const waiters: { readonly kind: Entry["kind"]; readonly resolve: () => void }[] = [];

  const write = async (entry: Entry): Promise<void> => {
    abortion.signal.throwIfAborted();
    entries.push(entry);
    for (const { kind, resolve } of waiters) if (kind === entry.kind) resolve();
    await Promise.race([options.commit?.(entry), aborted.promise]);
  };

  const log = (fields: LogFields, message: string): void => {
    logged.push({ fields, message });
  };

  const of = <Kind extends Entry["kind"]>(kind: Kind): Extract<Entry, { kind: Kind }>[] =>
    entries.filter((entry): entry is Extract<Entry, { kind: Kind }> => entry.kind === kind);

  return {
    job: {
      id: "01987f5e-0000-7000-8000-000000000001",
      type: "test",
      attempt: options.attempt ?? 1,
      userId: "user",
      sessionId: null,
      metadata: {},
      traceparent: TRACEPARENT,
      signal: abortion.signal,
      log: createRunLog({ debug: log, info: log, warn: log, error: log }),
      idleMs: options.idleMs ?? null,
      lastCheckpoint: options.lastCheckpoint ?? null,
      text: (delta, { index = 0 } = {}) => write({ kind: "text", delta, index }),
      audioFormat: (format) => write({ kind: "format", format }),
      audio: (bytes) => write({ kind: "audio", bytes: bytes.slice() }),
      data: (value) => write({ kind: "data", value: value instanceof Uint8Array ? value.slice() : value }),
      progress: (ratio, message) => write({ kind: "progress", ratio, message }),
      checkpoint: (value) => write({ kind: "checkpoint", value }),
      previous: (jobId) => Promise.resolve(options.previous?.[jobId] ?? null),
    },
    entries,
    logged,
    text: (index = 0) =>
      of("text")
        .filter((entry) => entry.index === index)
        .map((entry) => entry.delta)
        .join(""),
    audio: () => Buffer.concat(of("audio").map((entry) => entry.bytes)),
    data: () => of("data").map((entry) => entry.value),
    formats: () => of("format").map((entry) => entry.format),
    abort: (reason) => abortion.abort(reason),
    seen: (kind) =>
      new Promise((resolve) => {
        if (of(kind).length > 0) resolve();
        else waiters.push({ kind, resolve });
      }),
  };
}
