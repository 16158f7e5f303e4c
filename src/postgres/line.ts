/**
 * One connection that is used for long: opened when it is needed, and again after it was lost. Whoever has waited too
 * long for it gives it up and asks for another; the one that comes late is closed then, and nothing is sent over it.
 */
import { connect, Unanswered, type PostgresConnection } from "./connection.ts";

export interface Line {
  /** The connection there is; null: none. */
  readonly open: PostgresConnection | null;
  /** Rejects as the network, or `prepare`, says; and with Unanswered when it was given up meanwhile. */
  get(): Promise<PostgresConnection>;
  /** Gives it up, also while it is being opened: what is under way on it rejects. */
  drop(): void;
}

/** `prepare` is done first on every connection. */
export function createLine(url: string, prepare: (connection: PostgresConnection) => Promise<void>): Line {
  let open: PostgresConnection | null = null;
  let opening: Promise<PostgresConnection> | null = null;

  const begin = (): Promise<PostgresConnection> => {
    const assertWanted = (): void => {
      if (opening !== mine) throw new Unanswered("the database was too late");
    };
    const prepared = async (): Promise<PostgresConnection> => {
      const connection = await connect(url);
      try {
        assertWanted();
        await prepare(connection);
        assertWanted();
      } catch (error) {
        connection.close();
        throw error;
      }
      open = connection;
      return connection;
    };
    const mine = prepared().finally(() => {
      if (opening === mine) opening = null;
    });
    return mine;
  };

  return {
    get open() {
      return open;
    },
    async get() {
      return open ?? (opening ??= begin());
    },
    drop() {
      opening = null;
      open?.close();
      open = null;
    },
  };
}
