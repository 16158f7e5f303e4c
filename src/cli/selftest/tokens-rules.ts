/** How a `tokens` job has to end: its input foretells every text, every chunk and the result. */
import { tokenAudio, tokenText, type TokensInput } from "../../handlers/tokens.ts";
import type { Flaw } from "./flaw.ts";
import { contentOf, contentOfBytes, contentOfText, type LogEntry } from "./history.ts";

/** What the last run has to have written, in order. */
function expectedOutput({ tokens, size, audioBytes = 0 }: TokensInput): string[] {
  const contents: string[] = [];
  for (let n = 1; n <= tokens; n += 1) {
    contents.push(contentOfText(tokenText(n, size), 0));
    if (audioBytes > 0) contents.push(contentOfBytes(tokenAudio(n, audioBytes)));
  }
  return contents;
}

/** Runs that were lost with their process, as the log tells them. */
function lostRuns(log: readonly LogEntry[]): number {
  return log.filter(
    ({ kind, data }) =>
      kind === "job.retrying" && (data?.reason === "restart" || data?.reason === "worker_lost"),
  ).length;
}

export interface TokensEnd {
  readonly flaws: readonly Flaw[];
  /** It failed because it lost as many leases as it may: allowed, and worth telling. */
  readonly budgetSpent: boolean;
}

/** Judges how a whole log ends. `maxLostLeases`: the setting of the server. */
export function checkTokensEnd(
  log: readonly LogEntry[],
  input: TokensInput,
  maxLostLeases: number,
): TokensEnd {
  const last = log.at(-1);
  const wrong = (text: string): TokensEnd => ({
    flaws: [{ kind: "wrong_result", text }],
    budgetSpent: false,
  });
  if (last?.kind === "job.failed" && last.data?.error?.code === "worker_lost") {
    // The run that ends the job is announced by job.failed in place of job.retrying.
    const lost = lostRuns(log) + 1;
    if (lost >= maxLostLeases) return { flaws: [], budgetSpent: true };
    const text = `failed after ${lost} lost runs of ${maxLostLeases}`;
    return { flaws: [{ kind: "failed_by_restart", text }], budgetSpent: false };
  }
  if (last?.kind !== "job.succeeded") return wrong(`ended with ${last?.kind}: ${JSON.stringify(last?.data)}`);
  const result = JSON.stringify(last.data?.result);
  if (result !== JSON.stringify({ tokens: input.tokens })) return wrong(`the result is ${result}`);
  const start = log.findLastIndex(({ kind }) => kind === "output.reset");
  const written = log
    .slice(start + 1)
    .filter(({ kind }) => kind === "output.text" || kind === "output.audio")
    .map(({ kind, data }) => contentOf(kind, data));
  if (written.join() !== expectedOutput(input).join())
    return wrong(`the last run wrote ${written.length} entries, and not those of its input`);
  return { flaws: [], budgetSpent: false };
}
