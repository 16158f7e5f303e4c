/** The simplest participant: each command is a call of one of a store's methods. */
import type { Writer } from "../database/writer.ts";
import type { Participant } from "./writer.ts";

/** A store's writing methods, as they are carried out inside the open transaction. */
export type Executors<Writes> = {
  readonly [Name in keyof Writes]: Writes[Name] extends (...given: infer Given) => Promise<infer Answer>
    ? (...given: Given) => Answer
    : never;
};

interface Call {
  readonly call: string;
  readonly given: readonly unknown[];
}

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

/** The methods of these names, each as an errand to the writer. */
export function createCalls<Writes>(
  writer: Writer,
  to: string,
  names: readonly (keyof Writes & string)[],
): Writes {
  const send =
    (call: string) =>
    (...given: readonly unknown[]) =>
      writer.write(to, { call, given } satisfies Call);
  return Object.fromEntries(names.map((name) => [name, send(name)])) as Writes;
}
