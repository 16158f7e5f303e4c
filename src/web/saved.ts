/** The conversation as this tab remembers it, so that a reload shows it again and goes on where it was. */
import type { SubmitBody } from "../protocol/jobs.ts";

export type Mode = "voice" | "chat" | "speech" | "tokens";

export interface Exchange {
  /** Idempotency key of the submit: a reload before the 202 hands the same job in again. */
  readonly key: string;
  readonly mode: Mode;
  readonly prompt: string;
  readonly body: SubmitBody;
  jobId: string | null;
  /** What is left to show once the job has ended; null while it runs. */
  ended: { readonly text: string; readonly note: string; readonly outcome: string } | null;
}

const KEY = "holdline:conversation";
const MOST_EXCHANGES = 30;
const MOST_TEXT_CHARS = 20_000;

export function loadConversation(): Exchange[] {
  try {
    return JSON.parse(sessionStorage.getItem(KEY) ?? "[]") as Exchange[];
  } catch {
    return [];
  }
}

/** Keeps the newest exchanges; texts of a raw-throughput run are cut, since nobody reads them again. */
export function saveConversation(exchanges: readonly Exchange[]): void {
  const kept = exchanges.slice(-MOST_EXCHANGES).map((exchange) =>
    exchange.ended === null
      ? exchange
      : Object.assign({}, exchange, {
          ended: Object.assign({}, exchange.ended, { text: exchange.ended.text.slice(0, MOST_TEXT_CHARS) }),
        }),
  );
  try {
    sessionStorage.setItem(KEY, JSON.stringify(kept));
  } catch {
    // A full storage costs the conversation after a reload and nothing else.
  }
}

/** The newest finished answer that a further message can continue; undefined when there is none. */
export function continuable(exchanges: readonly Exchange[]): string | undefined {
  const last = exchanges.findLast(
    ({ mode, ended }) => (mode === "voice" || mode === "chat") && ended?.outcome === "succeeded",
  );
  return last?.jobId ?? undefined;
}
