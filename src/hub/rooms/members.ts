/**
 * What this node knows of who is in which room, kept as the store has it: learned from what is done here, from hints, and
 * from looks at everything.
 */
import type { SessionId } from "../../lib/ids.ts";
import { createLanes } from "../../lib/lanes.ts";
import { slices } from "../../lib/slices.ts";
import { LIMITS } from "../../protocol/limits.ts";
import type { SessionOutage } from "../../sessions/outage.ts";
import type { SessionRecord } from "../../sessions/session.ts";
import type { Sessions } from "../../sessions/sessions.ts";
import type { Listening } from "./listening.ts";
import type { Roster } from "./roster.ts";

export interface MembersOptions {
  readonly sessions: Pick<Sessions, "findChanged" | "inRooms" | "onChanged" | "onEnded" | "onExpired">;
  /** While the sessions cannot be looked up, everybody is seen as before, here as at every other node. */
  readonly sessionOutage: Pick<SessionOutage, "away">;
  readonly roster: Roster;
  readonly listening: Listening;
}

export interface Members {
  /** Learns what the store says of a session by now, and gives it; null when it is over. Rejects as the store does. */
  lookUp(id: SessionId): Promise<SessionRecord | null>;
  /**
   * Learns from the store who is where, and who is nowhere any more; one look at a time, each of all that there is when
   * it begins. Resolves with whom it found otherwise than known, nobody the first time. Rejects as the store does.
   */
  look(): Promise<readonly SessionId[]>;
  /** Members whom looks after the first one found otherwise than they were known here. */
  readonly mended: number;
}

export function createMembers({ sessions, sessionOutage, roster, listening }: MembersOptions): Members {
  /** Sessions that were learned of since a look began: what it read may be of before. */
  const learned = new Set<SessionId>();
  let looking = false;
  const learn = (session: SessionRecord): void => {
    if (looking) learned.add(session.id);
    // Who is here is told of what changes with it.
    listening.put(session);
    roster.put(session);
  };
  const forget = (id: SessionId): void => {
    if (looking) learned.add(id);
    listening.remove(id);
    roster.remove(id);
  };
  /**
   * When thousands come or go at one moment, all of them asked for at once would wait for each other in the store until
   * their time is over, and it would be taken for out of reach.
   */
  const lanes = createLanes({ most: LIMITS.lookSessions });
  /** Sessions being looked up. `stale`: they changed since, so that what is being read may be of before. */
  const lookingUp = new Map<SessionId, { stale: boolean; readonly found: Promise<SessionRecord | null> }>();
  const outdate = (id: SessionId): void => {
    const look = lookingUp.get(id);
    if (look !== undefined) look.stale = true;
  };
  const readUntilNew = async (id: SessionId): Promise<SessionRecord | null> => {
    for (;;) {
      const session = await lanes.run(() => {
        // Whatever changed while this stood in line is in what it is about to read.
        const waiting = lookingUp.get(id);
        if (waiting !== undefined) waiting.stale = false;
        return sessions.findChanged(id);
      });
      const mine = lookingUp.get(id);
      if (mine?.stale === true) {
        mine.stale = false;
        continue;
      }
      lookingUp.delete(id);
      if (session === null) forget(id);
      else learn(session);
      return session;
    }
  };
  /** One read at a time: whoever asks meanwhile gets what is read after that. */
  const lookUp = (id: SessionId): Promise<SessionRecord | null> => {
    outdate(id);
    const known = lookingUp.get(id);
    if (known !== undefined) return known.found;
    const found = readUntilNew(id).catch((error: unknown) => {
      lookingUp.delete(id);
      throw error;
    });
    lookingUp.set(id, { stale: false, found });
    return found;
  };

  sessions.onChanged((session) => {
    outdate(session.id);
    // What became of it meanwhile is looked up when they are back.
    if (sessionOutage.away) listening.put(session);
    else learn(session);
  });
  const over = (id: SessionId): void => {
    outdate(id);
    forget(id);
  };
  sessions.onEnded(over);
  sessions.onExpired((expired) => expired.forEach(over));

  let looks = 0;
  let mended = 0;
  const lookAtAll = async (): Promise<readonly SessionId[]> => {
    const isFirst = looks === 0;
    const found: SessionId[] = [];
    const mend = (id: SessionId, isNew: boolean): void => {
      if (isNew && !isFirst) found.push(id);
    };
    // Those that no page shows are looked up one by one: they have left, or were somewhere between two pages.
    const doubtful = new Set(roster.ids());
    learned.clear();
    looking = true;
    try {
      for await (const page of sessions.inRooms()) {
        for (const session of page) {
          if (learned.has(session.id)) continue;
          listening.put(session);
          mend(session.id, roster.put(session));
          doubtful.delete(session.id);
        }
      }
    } finally {
      looking = false;
    }
    for (const id of learned) doubtful.add(id);
    learned.clear();
    const lookAgain = async (id: SessionId): Promise<void> => {
      const wasKnown = roster.roomsOf(id).length > 0;
      await lookUp(id);
      mend(id, wasKnown && roster.roomsOf(id).length === 0);
    };
    for (const some of slices([...doubtful], LIMITS.lookSessions)) await Promise.all(some.map(lookAgain));
    looks += 1;
    mended += found.length;
    return found;
  };
  let before: Promise<unknown> = Promise.resolve();
  const look = (): Promise<readonly SessionId[]> => {
    const mine = before.then(lookAtAll);
    before = mine.catch(() => undefined);
    return mine;
  };

  return {
    lookUp,
    look,
    get mended() {
      return mended;
    },
  };
}
