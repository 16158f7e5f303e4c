/** The SQLite side of commands that are calls of a store's methods. */
import type { Call } from "../database/calls.ts";
import type { Participant } from "./writer.ts";

/** A store's writing methods, as they are carried out inside the open transaction. */
export type Executors<Writes> = {
  readonly [Name in keyof Writes]: Writes[Name] extends (...given: infer Given) => Promise<infer Answer>
    ? (...given: Given) => Answer
    : never;
};

export function createCallParticipant<Writes>(executors: Executors<Writes>): Participant {
  const byName = executors as unknown as Readonly<Record<string, (...given: readonly unknown[]) => unknown>>;
  return {
    execute(command) {
      const { call, given } = command as Call;
      const execute = byName[call];
      if (execute === undefined) throw new Error(`nobody carries out ${call}`);
      return execute(...given);
    },
    rolledBack: () => {},
  };
}
