/** Starts parts whose storage may have no room, or be away: a server that cannot store its start answers what it can. */
import type { Clock } from "./lib/clock.ts";
import type { Logger } from "./lib/logger.ts";
import { Refusal } from "./protocol/error.ts";

/** How often a start that could not be stored is tried again. */
const START_AGAIN_MS = 1000;

/**
 * Starts a part; what it could not store is tried again until it can, which is told twice: that it failed, and that it
 * is done. Resolves after the first attempt. Any error but `storage_unavailable` of that one rejects.
 */
export async function startWithRoom(
  { clock, logger }: { readonly clock: Clock; readonly logger: Logger },
  part: { start(): Promise<void> },
  over: AbortSignal,
): Promise<void> {
  let told = false;
  const tryOnce = (): Promise<boolean> =>
    part.start().then(
      () => {
        if (told) logger.info({}, "the start is stored");
        return true;
      },
      (error: unknown) => {
        if (!(error instanceof Refusal) || error.code !== "storage_unavailable") throw error;
        if (!told) logger.error({ error }, "the start could not be stored; it is tried again");
        told = true;
        return false;
      },
    );
  if (await tryOnce()) return;
  const again = (): void => {
    clock.after(START_AGAIN_MS, () => {
      if (!over.aborted) void tryOnce().then((done) => (done ? undefined : again()));
    });
  };
  again();
}
