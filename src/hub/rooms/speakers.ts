/**
 * Who speaks on another node has to be a member by what the store says, and may be one of whom this node has not heard:
 * it is looked up, and what it says meanwhile waits.
 */
import type { SessionId } from "../../lib/ids.ts";
import { LIMITS } from "../../protocol/limits.ts";
import type { Members } from "./members.ts";
import type { Roster } from "./roster.ts";

export interface SpeakersOptions {
  readonly roster: Pick<Roster, "isMember">;
  readonly members: Pick<Members, "lookUp">;
}

export interface Speakers {
  /**
   * Calls `handOn`, in the order of what one speaker says, if it is a member of the room. Beyond `heldMessages` that
   * wait, what comes is let go. Rejects as the store does.
   */
  hear(speaker: SessionId, room: string, handOn: () => void): Promise<void>;
}

export function createSpeakers({ roster, members }: SpeakersOptions): Speakers {
  /** Speakers that are being looked up; what they say meanwhile waits behind that, in its order. */
  const unsure = new Map<SessionId, Promise<void>>();
  let held = 0;
  const hear = async (speaker: SessionId, room: string, handOn: () => void): Promise<void> => {
    const before = unsure.get(speaker);
    if (before === undefined && roster.isMember(speaker, room)) {
      handOn();
      return;
    }
    if (held >= LIMITS.heldMessages) return;
    held += 1;
    const check = async (): Promise<void> => {
      await before?.catch(() => undefined);
      if (!roster.isMember(speaker, room)) await members.lookUp(speaker);
      if (roster.isMember(speaker, room)) handOn();
    };
    const checking = check().finally(() => {
      held -= 1;
      if (unsure.get(speaker) === checking) unsure.delete(speaker);
    });
    unsure.set(speaker, checking);
    await checking;
  };

  return { hear };
}
