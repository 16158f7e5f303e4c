/**
 * What writes text for `chat` and `voice`: one contract, two engines (the one inside the package, and any
 * OpenAI-compatible server). Handlers never ask which one they have.
 */
import type { Json } from "../../protocol/events.ts";

export interface ChatMessage {
  readonly role: "system" | "user" | "assistant";
  readonly content: string;
}

export interface ChatRequest {
  /** The whole conversation, oldest first; the last one is a user's. */
  readonly messages: readonly ChatMessage[];
  readonly model?: string;
  readonly temperature?: number;
  readonly maxTokens?: number;
  /** Aborted: stop at once, also the request to an upstream; `write` rejects with the signal's reason. */
  readonly signal: AbortSignal;
  readonly traceparent: string;
}

export interface ChatOutcome {
  /** What really wrote the text: the upstream's own name of its model, or the built-in engine's name. */
  readonly model: string;
  /** As the upstream reported it; absent when it did not. */
  readonly usage?: Json;
  /**
   * Why the text ends where it does: `stop`, `length` (maxTokens, or the model's own bound), or another word of the
   * upstream, such as `content_filter`; absent when it gave none.
   */
  readonly finishReason?: string;
}

export interface ChatEngine {
  /** true: the work happens elsewhere, and the watchdogs for first output and silence apply by default. */
  readonly upstream: boolean;
  /**
   * Writes the answer piece by piece, in order; each piece is whole code points. Resolves when the answer is complete;
   * a stream that breaks off rejects (JobError), it never resolves. Awaits `write`, so a slow reader slows the engine.
   */
  generate(request: ChatRequest, write: (delta: string) => Promise<void>): Promise<ChatOutcome>;
}
