/** One promise of the worker protocol, tried: what was wrong, or nothing. */

export interface Check {
  /** In words, as part of a list. */
  readonly name: string;
  /** Rejects with what was wrong. */
  readonly run: () => Promise<void>;
}

export interface Verdict {
  readonly name: string;
  readonly passed: boolean;
  /** What was wrong; null when it passed. */
  readonly reason: string | null;
}

/** Throws what was expected and what came instead. */
export function expectThat(holds: boolean, wanted: string, came?: unknown): asserts holds {
  if (holds) return;
  throw new Error(came === undefined ? wanted : `${wanted}; it was ${JSON.stringify(came)}`);
}

/** Tries all of them, one after the other; `onVerdict` hears of each as it is known. */
export async function tryAll(
  checks: readonly Check[],
  onVerdict: (verdict: Verdict) => void,
): Promise<readonly Verdict[]> {
  const verdicts: Verdict[] = [];
  for (const { name, run } of checks) {
    let reason: string | null = null;
    try {
      await run();
    } catch (error) {
      reason = error instanceof Error ? error.message : String(error);
    }
    const verdict = { name, passed: reason === null, reason };
    verdicts.push(verdict);
    onVerdict(verdict);
  }
  return verdicts;
}
