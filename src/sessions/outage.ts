/** What there is to know of a store of sessions that may be out of reach while the database is not. */
import type { SessionId } from "../lib/ids.ts";

export interface SessionOutage {
  /** It is out of reach now: sessions that are known here go on from memory, others are refused. */
  readonly away: boolean;
  /** Sessions that were written down again after it was. */
  readonly written: number;
  /**
   * Calls `listener` when that was done, with those sessions: whatever was read of any session before may be wrong by
   * now, here and on other nodes.
   */
  onReturned(listener: (written: readonly SessionId[]) => void): void;
}

/** Of sessions in the database. */
export const NO_SESSION_OUTAGE: SessionOutage = { away: false, written: 0, onReturned: () => {} };
