/** Starts parts although the storage may be full or away: a server that cannot store its start still answers what it can. */
import type { Clock } from "./lib/clock.ts";
import type { Logger } from "./lib/logger.ts";
import { Refusal } from "./protocol/error.ts";

/** How often a start that could not be stored is tried again. */
const START_AGAIN_MS = 1000;

export interface Starting {
  /** The start has been stored. */
  readonly isDone: boolean;
}

/**
 * Starts a part. A start that cannot be stored is retried until it succeeds or `over` is aborted; the log says once that it
 * failed, and once that it is done. Resolves after the first attempt, and rejects if that one fails with any error other
 * than `storage_unavailable`.
 */
export async function startWithRoom(
  { clock, logger }: { readonly clock: Clock; readonly logger: Logger },
  part: { start(): Promise<void> },
  over: AbortSignal,
): Promise<Starting> {
  let isDone = false;
  const again = (): void => {
    clock.after(START_AGAIN_MS, () => {
      if (!over.aborted) void tryAgain();
    });
  };
  const tryAgain = async (): Promise<void> => {
    try {
      await part.start();
      isDone = true;
      logger.info({}, "the start is stored");
    } catch (error) {
      if (!isOutage(error)) logger.error({ error }, "the start failed; it is tried again");
      again();
    }
  };
  try {
    await part.start();
    isDone = true;
  } catch (error) {
    if (!isOutage(error)) throw error;
    logger.error({ reason: error.message }, "the start could not be stored; it is tried again");
    again();
  }
  return {
    get isDone() {
      return isDone;
    },
  };
}

function isOutage(error: unknown): error is Refusal {
  return error instanceof Refusal && error.code === "storage_unavailable";
}
