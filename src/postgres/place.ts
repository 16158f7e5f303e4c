/**
 * Who may write to a database as a server, held by advisory locks of the writing connection: they end with it, however
 * its process dies. One server alone, or several that each have a name of their own.
 */
import { Obstacle } from "../lib/mistakes.ts";
import type { PostgresConnection } from "./connection.ts";
import { ADVISORY_LOCKS } from "./migrate.ts";

export interface ServerClaim {
  /** The name that no other server of this database has; null: it has none, and is alone. */
  readonly nodeId: string | null;
  /** Whether there may be others. */
  readonly several: boolean;
}

/** The place is taken. */
export class DatabaseInUseError extends Obstacle {
  override readonly name = "DatabaseInUseError";
}

const ALONE =
  "another holdline server is using this PostgreSQL database: stop it first, give this one a database of its own, or set HOLDLINE_REDIS_URL for each of them to run several";
const BESIDE_ONE_ALONE =
  "a holdline server without HOLDLINE_REDIS_URL is using this PostgreSQL database, so that it has to be alone: set it there as well, or stop that server";
const namesake = (nodeId: string): string =>
  `another holdline server named ${nodeId} is using this PostgreSQL database: each needs a data folder of its own; if this one was copied, delete the file node-id in it`;

export interface ServerPlace {
  /** Takes the locks on this connection. Rejects with DatabaseInUseError. */
  take(connection: PostgresConnection): Promise<void>;
}

/** The place of one server, over all connections that it opens one after another. */
export function createServerPlace({ nodeId, several }: ServerClaim): ServerPlace {
  /** The server's side of our last connection. */
  let former: { readonly pid: unknown; readonly begun: unknown } | null = null;

  const taken = async (
    connection: PostgresConnection,
    how: string,
    ...given: unknown[]
  ): Promise<boolean> => {
    const [row] = await connection.unsafe(`SELECT ${how} AS taken`, given);
    return row?.["taken"] === true;
  };
  const attempt = async (connection: PostgresConnection): Promise<string | null> => {
    const kind = several ? "pg_try_advisory_lock_shared" : "pg_try_advisory_lock";
    if (!(await taken(connection, `${kind}(${ADVISORY_LOCKS.server})`)))
      return several ? BESIDE_ONE_ALONE : ALONE;
    const own = `pg_try_advisory_lock(${ADVISORY_LOCKS.node}, hashtext($1))`;
    return nodeId === null || (await taken(connection, own, nodeId)) ? null : namesake(nodeId);
  };

  return {
    async take(connection) {
      if (former !== null) {
        // Behind a wire that was cut the database may not know for long that it is over, and would keep our own place from us.
        await connection.unsafe(
          "SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity WHERE pid = $1 AND backend_start::text = $2",
          [former.pid, former.begun],
        );
      }
      const why = await attempt(connection);
      if (why !== null) throw new DatabaseInUseError(why);
      const [row] = await connection.unsafe(
        "SELECT pid, backend_start::text AS begun FROM pg_stat_activity WHERE pid = pg_backend_pid()",
      );
      former = { pid: row?.["pid"], begun: row?.["begun"] };
    },
  };
}
