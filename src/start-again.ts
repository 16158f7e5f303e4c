/** Starts parts whose storage may have no room, or be away: a server that cannot store its start answers what it can. */
import type { Clock } from "./lib/clock.ts";
import type { Logger } from "./lib/logger.ts";
import { Refusal } from "./protocol/error.ts";

/** How often a start that could not be stored is tried again. */
const START_AGAIN_MS = 1000;

export interface Starting {
  /** It was stored; from then on for good. */
  readonly isDone: boolean;
}

/**
 * Starts a part; what it could not store is tried again until it can or `over` is aborted, which is told twice: that it
 * failed, and that it is done. Resolves after the first attempt. Any error but `storage_unavailable` of that one rejects.
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
