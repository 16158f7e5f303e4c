/** Progress of a command that takes a while: one line that is written over, when a person looks on. */
import type { Host } from "../command.ts";

export interface LiveLine {
  show(text: string): void;
  /** Takes it away, before the result is written. */
  clear(): void;
}

const ERASE = "\r\u001b[K";

export function liveLine(host: Host): LiveLine {
  if (!host.isTerminal) return { show: () => undefined, clear: () => undefined };
  return { show: (text) => host.err(`${ERASE}${text}`), clear: () => host.err(ERASE) };
}
