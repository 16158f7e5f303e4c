/** What reads an endpoint's answer is given: how to read it, its bytes, and where it goes. */
import type { AudioFormat, Json } from "../../protocol/events.ts";

/** How an answer can be read. */
export const READINGS = ["json", "text", "ndjson", "sse", "pcm", "mp3", "opus", "wav"] as const;
export type Reading = (typeof READINGS)[number];

export interface AnswerOptions {
  /** `auto`: by its Content-Type. */
  readonly answer: "auto" | Reading;
  /** A JSON answer is told as `output.data` too. */
  readonly jsonOutput: boolean;
  /** Where in each JSON of a stream its text stands (JSON Pointer). */
  readonly textPointer: string | null;
  /** What an event stream must end with, as data or name of an event. */
  readonly endMark: string | null;
  /** Of PCM whose Content-Type does not say. */
  readonly sampleRate: number | null;
  readonly channels: number;
  /** Longest answer that is read. */
  readonly answerBytes: number;
  /** What must not be logged, should the endpoint repeat it. */
  readonly secrets: readonly string[];
}

/** Where the answer goes. Each call resolves when the next one may come, and rejects when nothing more is taken. */
export interface AnswerSink {
  readonly eventBytes: number;
  readonly signal: AbortSignal;
  /** Whole code points, at most 64 KiB. */
  text(delta: string, index: number): Promise<void>;
  data(value: Json): Promise<void>;
  audioFormat(format: AudioFormat): Promise<void>;
  /** Whole samples, at most 64 KiB. */
  audio(bytes: Uint8Array): Promise<void>;
  progress(ratio: number | null, message?: string): Promise<void>;
}

/** An answer on its way in: its bytes bounded, its type taken apart. */
export interface Answer {
  readonly response: Response;
  readonly options: AnswerOptions;
  readonly sink: AnswerSink;
  readonly parameters: ReadonlyMap<string, string>;
  /** The body; `complete` says that all that matters has come. Rejects when it breaks off or grows past its bound. */
  readonly bytes: (complete?: () => boolean) => AsyncGenerator<Uint8Array>;
}
