/** The simplest participant: each command is a call of one of a store's methods, carried out by statements of its own. */
import type { Writer } from "../database/writer.ts";
import type { PostgresClient } from "./connection.ts";
import type { PostgresParticipant } from "./writer.ts";

/** A store's writing methods, each with the transaction that it runs in. */
export type Executors<Writes> = {
  readonly [Name in keyof Writes]: Writes[Name] extends (...given: infer Given) => infer Answer
    ? (client: PostgresClient, ...given: Given) => Answer
    : never;
};

interface Call {
  readonly call: string;
  readonly given: readonly unknown[];
}

export function createCallParticipant<Writes>(executors: Executors<Writes>): PostgresParticipant {
  const byName = executors as unknown as Readonly<
    Record<string, (client: PostgresClient, ...given: readonly unknown[]) => Promise<unknown>>
  >;
  return {
    async execute(commands, client) {
      const values: unknown[] = [];
      for (const { call, given } of commands as readonly Call[]) {
        const execute = byName[call];
        if (execute === undefined) throw new Error(`nobody carries out ${call}`);
        values.push(await execute(client, ...given));
      }
      return values.map((value) => ({ ok: true, value }));
    },
    ended: () => {},
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
