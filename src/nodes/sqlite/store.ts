/** The SQLite driver of `NodeStore`: two small tables; writes go through the database's one writer. */
import { and, asc, eq, getTableColumns, inArray, isNull, lt, lte, ne, or, sql } from "drizzle-orm";
import { createCalls } from "../../database/calls.ts";
import { createCallParticipant, type Executors } from "../../sqlite/calls.ts";
import type { SqliteConnection } from "../../sqlite/database.ts";
import type { Writer } from "../../database/writer.ts";
import type { Participant } from "../../sqlite/writer.ts";
import type { NodeStore } from "../store.ts";
import { installation, nodes } from "./schema.ts";

/** Name of this room's commands at the writer. */
export const NODES = "nodes";

const WRITES = ["installation", "enter", "beat", "leave", "takeSilent", "buried", "forget"] as const;
type Writes = Pick<NodeStore, (typeof WRITES)[number]>;

const { finderUntil: _finderUntil, ...columns } = getTableColumns(nodes);

function createExecutors({ orm }: SqliteConnection): Executors<Writes> {
  const ofBoot = (id: string, bootId: string) => and(eq(nodes.id, id), eq(nodes.bootId, bootId));
  return {
    installation(fresh) {
      orm
        .insert(installation)
        .values({ id: 1, ...fresh })
        .onConflictDoNothing()
        .run();
      const { name, secret } = orm.select().from(installation).get() ?? fresh;
      return { name, secret };
    },
    enter(node, nowBy) {
      const row = { ...node, state: "up", finderUntil: null } as const;
      return (
        orm
          .insert(nodes)
          .values(row)
          .onConflictDoUpdate({
            target: nodes.id,
            set: row,
            setWhere: sql`${nodes.state} <> 'lost' OR ${nodes.finderUntil} IS NULL OR ${nodes.finderUntil} <= ${nowBy}`,
          })
          .returning({ id: nodes.id })
          .get() !== undefined
      );
    },
    beat: ({ id, bootId, ...news }) =>
      orm
        .update(nodes)
        .set(news)
        .where(and(ofBoot(id, bootId), inArray(nodes.state, ["up", "draining"])))
        .returning({ id: nodes.id })
        .get() !== undefined,
    leave({ id, bootId }) {
      orm
        .delete(nodes)
        .where(and(ofBoot(id, bootId), ne(nodes.state, "lost")))
        .run();
    },
    takeSilent: ({ silentSince, nowBy, finderUntil }) =>
      orm
        .update(nodes)
        .set({ state: "lost", finderUntil })
        .where(
          and(
            ne(nodes.state, "dead"),
            lt(nodes.seenBy, silentSince),
            or(isNull(nodes.finderUntil), lte(nodes.finderUntil, nowBy)),
          ),
        )
        .returning(columns)
        .all(),
    buried: ({ id, bootId }, finderUntil) =>
      orm
        .update(nodes)
        .set({ state: "dead", finderUntil: null })
        .where(and(ofBoot(id, bootId), eq(nodes.state, "lost"), eq(nodes.finderUntil, finderUntil)))
        .returning({ id: nodes.id })
        .get() !== undefined,
    forget(seenBefore) {
      orm
        .delete(nodes)
        .where(and(eq(nodes.state, "dead"), lt(nodes.seenBy, seenBefore)))
        .run();
    },
  };
}

/** The writer's side: runs where the writer runs. */
export function createNodeParticipant(connection: SqliteConnection): Participant {
  return createCallParticipant(createExecutors(connection));
}

export function createSqliteNodeStore(writer: Writer, { orm }: SqliteConnection): NodeStore {
  return {
    ...createCalls<Writes>(writer, NODES, WRITES),
    list: async () => orm.select(columns).from(nodes).orderBy(asc(nodes.id)).all(),
  };
}
