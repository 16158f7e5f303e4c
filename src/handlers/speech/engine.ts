/**
 * What turns text into sound for `speech` and `voice`: one contract, two engines (the one inside the package, and any
 * OpenAI-compatible server). Handlers never ask which one they have.
 */
import type { AudioFormat } from "../../protocol/events.ts";

/** `format` of a speech job: raw samples, or one of the two compressed kinds. */
export const SPEECH_FORMATS = ["pcm", "mp3", "opus"] as const;

export type SpeechFormat = (typeof SPEECH_FORMATS)[number];

export interface SpeechRequest {
  /** Plain text, any number of sentences; at least one of them speakable if the engine has `examine`. */
  readonly text: string;
  /** One of `voices`; the engine's default when absent. */
  readonly voice?: string;
  /** 1 = as the voice speaks by itself, 2 = twice as fast. */
  readonly speed?: number;
  /** One of `formats`. */
  readonly format: SpeechFormat;
  /** Aborted: stop soon, also the request to an upstream; `speak` rejects with the signal's reason. */
  readonly signal: AbortSignal;
  readonly traceparent: string;
}

/** Where the sound goes. The engine awaits every call, so a slow reader slows the engine. */
export interface SpeechSink {
  /** Before the first `audio` of each `speak`, once. */
  format(format: AudioFormat): Promise<void>;
  /** A chunk of 1 byte to 64 KiB; of PCM whole samples (an even number of bytes). Copied before it resolves. */
  audio(bytes: Uint8Array): Promise<void>;
}

export interface SpeechOutcome {
  /** Length of the sound; absent where the engine would have to decode it to know (mp3, opus). */
  readonly durationMs?: number;
  readonly bytes: number;
  /** The voice that really spoke. */
  readonly voice: string;
}

/** What an engine says about a text before it speaks it. */
export interface SpeechFindings {
  /** Whether anything would be heard; false for blanks, punctuation and emoji alone. */
  readonly speakable: boolean;
  /** Sentences it cannot speak, in order, each with the reason in words for the user. */
  readonly refused: readonly { readonly sentence: string; readonly reason: string }[];
}

export interface SpeechEngine {
  /** true: the work happens elsewhere, and the watchdogs for first output and silence apply by default. */
  readonly upstream: boolean;
  /** Every name `voice` may have, the default first; null: any, the upstream decides. */
  readonly voices: readonly string[] | null;
  readonly formats: readonly SpeechFormat[];
  /** Absent: every text is taken. */
  examine?(text: string): SpeechFindings;
  /**
   * Speaks the whole text. Sound is handed on in the order of the text and as soon as it is made, the first of it
   * before the last sentence is begun; nothing is paced at real time. Requests are served side by side: a long one
   * does not keep a short one waiting. Resolves when all of it is handed on; sound that breaks off rejects
   * (JobError), it never resolves. An error of the sink is passed on as it is.
   */
  speak(request: SpeechRequest, sink: SpeechSink): Promise<SpeechOutcome>;
  /** Makes ready ahead of the first request; without it that one takes longer. */
  start?(): Promise<void>;
  /** The end: threads and memory are given back, requests under way and later ones are rejected. May be repeated. */
  stop?(): Promise<void>;
}
