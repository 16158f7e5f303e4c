/** The PostgreSQL side of commands that are calls of a store's methods: each is carried out by statements of its own. */
import type { Call } from "../database/calls.ts";
import type { PostgresClient } from "./connection.ts";
import type { PostgresParticipant } from "./writer.ts";

/** A store's writing methods, each with the transaction that it runs in. */
export type Executors<Writes> = {
  readonly [Name in keyof Writes]: Writes[Name] extends (...given: infer Given) => infer Answer
    ? (client: PostgresClient, ...given: Given) => Answer
    : never;
};

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
