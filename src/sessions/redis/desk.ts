/** Where Redis is asked for sessions: whoever asks first after an outage writes down everything that is remembered. */
import type { SessionId } from "../../lib/ids.ts";
import type { Logger } from "../../lib/logger.ts";
import { Refusal } from "../../protocol/error.ts";
import { redisReason } from "../../redis/reason.ts";
import type { SessionOutage } from "../outage.ts";
import { createRevocations, isSessionRevoked } from "../revocations.ts";
import type { RevocationStore } from "../revocations/store.ts";
import type { Memory } from "./memory.ts";
import { Emptied, Settling, type RedisSessionStore } from "./store.ts";

export interface DeskOptions {
  readonly store: RedisSessionStore;
  readonly revocations: RevocationStore;
  readonly logger: Logger;
}

export interface Desk {
  /** Redis' answer, in step with what is remembered. Rejects with `storage_unavailable` while there is none to be had. */
  readonly ask: <Value>(call: () => Promise<Value>) => Promise<Value>;
  /** Redis has not been told everything that is remembered. */
  readonly behind: boolean;
  /** Sessions that changed in memory alone. */
  readonly waiting: Set<SessionId>;
  readonly outage: SessionOutage;
}

/** Sessions written down at a time. */
const WRITTEN_AT_ONCE = 100;
/** How often a call goes back to write everything down, when the store is emptied again and again. */
const TRIES = 3;

export function isOutOfReach(error: unknown): boolean {
  return error instanceof Refusal && error.code === "storage_unavailable";
}

/**
 * Writes down what is remembered, and calls `done` in the moment in which nothing is left: whatever changes after that is
 * asked of Redis. Rejects when Redis or the database cannot be asked.
 */
async function writeDown(
  { store, revocations }: DeskOptions,
  { seated, left, endings, forget }: Memory,
  waiting: Set<SessionId>,
  done: () => void,
): Promise<readonly SessionId[]> {
  await store.begin();
  for (const id of [...seated.keys(), ...left.keys()]) waiting.add(id);
  const known = createRevocations(revocations);
  if (waiting.size > 0) await known.load();

  const written: SessionId[] = [];
  const write = async (id: SessionId): Promise<void> => {
    const session = left.get(id) ?? seated.get(id);
    if (session === undefined) return;
    // One that was revoked is not let in anywhere; it is only told that its socket is gone.
    const stored = await store.restore(session, !isSessionRevoked(known, session));
    // Else it has sat down or left here meanwhile, and is in line again.
    const isLatest = (left.get(id) ?? seated.get(id)) === session;
    if (left.get(id) === session) left.delete(id);
    if (stored !== null && stored.endedAt === null && stored.nodeId === session.nodeId) written.push(id);
    else if (isLatest) forget(id);
  };

  // What changes meanwhile is put in line behind.
  while (waiting.size > 0 || endings.size > 0) {
    for (const [id, { at, forgetAt }] of endings) {
      await store.end(id, at, forgetAt);
      endings.delete(id);
    }
    const some = [...waiting].slice(0, WRITTEN_AT_ONCE);
    for (const id of some) waiting.delete(id);
    await Promise.all(some.map(write));
  }
  done();
  return written;
}

export function createDesk(options: DeskOptions, memory: Memory): Desk {
  const { logger } = options;
  const listeners: ((written: readonly SessionId[]) => void)[] = [];
  const waiting = new Set<SessionId>();
  /** Redis has not been told everything; at first it has not even been asked. */
  let behind = true;
  /** It is not the first time. */
  let began = false;
  let outOfReach = false;
  let written = 0;
  let turns = 0;
  let returning: Promise<void> | null = null;

  const comeBack = async (): Promise<void> => {
    const some = await writeDown(options, memory, waiting, () => {
      behind = false;
      outOfReach = false;
      turns += 1;
    });
    written += some.length;
    if (!began) {
      began = true;
      return;
    }
    logger.info({ sessions: some.length }, "the sessions of this node were written down again");
    for (const listener of listeners) listener(some);
  };

  const lost = (error: unknown): void => {
    behind = true;
    if (outOfReach) return;
    outOfReach = true;
    const { cause } = error as Error;
    // At the start nobody is known here, and that Redis cannot be reached was told.
    if (!began && (cause as Error | undefined)?.name !== "ReplyError") return;
    const { size } = memory.seated;
    logger.warn(
      { reason: redisReason(cause), seated: size },
      "sessions are out of reach: those that are known here go on",
    );
  };

  return {
    waiting,
    get behind() {
      return behind;
    },
    outage: {
      get away() {
        return outOfReach;
      },
      get written() {
        return written;
      },
      onReturned: (listener) => void listeners.push(listener),
    },
    ask: async (call) => {
      for (let tries = 1; ; tries += 1) {
        const since = turns;
        try {
          if (behind) {
            returning ??= comeBack().finally(() => {
              returning = null;
            });
            await returning;
          }
          return await call();
        } catch (error) {
          if (isOutOfReach(error) && !(error instanceof Settling)) lost(error);
          if (!(error instanceof Emptied)) throw error;
          if (tries === TRIES) throw new Refusal("storage_unavailable", "The sessions are out of reach.");
          // Somebody else may have written everything down since this was asked.
          if (since !== turns || behind) continue;
          behind = true;
          if (began)
            logger.warn({}, "Redis has lost the sessions: those of this node are written down again");
        }
      }
    },
  };
}
