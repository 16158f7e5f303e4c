/** The PostgreSQL driver of `NodeStore`: two small tables; what is written shares the transactions of the one writer. */
import { createCallParticipant, type Executors } from "../../postgres/calls.ts";
import { createCalls, type Call } from "../../database/calls.ts";
import type { Instant } from "../../lib/clock.ts";
import type { PostgresClient, PostgresRow } from "../../postgres/connection.ts";
import { createRows } from "../../postgres/rows.ts";
import type { PostgresParticipant } from "../../postgres/writer.ts";
import type { Writer } from "../../database/writer.ts";
import type { NodeRecord, NodeStore } from "../store.ts";
import { nodes } from "./schema.ts";

/** Name of this room's commands at the writer. */
export const NODES = "nodes";

const WRITES = ["installation", "enter", "beat", "leave", "takeSilent", "buried", "forget"] as const;
type Writes = Pick<NodeStore, (typeof WRITES)[number]>;

const rows = createRows(nodes);
const ALL = [
  "id", "bootId", "role", "state", "version", "host", "url", "startedAt", "seenBy", "sockets", "runs", "finderUntil",
] as const; // prettier-ignore

function nodeOf(raw: PostgresRow): NodeRecord {
  const { finderUntil: _finderUntil, ...node } = rows.read(raw);
  return node;
}

const EXECUTORS: Executors<Writes> = {
  async installation(client, { name, secret }) {
    await client.unsafe(
      "INSERT INTO installation (id, name, secret) VALUES (1, $1, $2) ON CONFLICT (id) DO NOTHING",
      [name, secret],
    );
    const [row] = await client.unsafe("SELECT name, secret FROM installation WHERE id = 1");
    return { name: String(row?.["name"]), secret: String(row?.["secret"]) };
  },
  async enter(client, node, nowBy) {
    const row = { ...node, state: "up", finderUntil: null } as const;
    const entered = await client.unsafe(
      `INSERT INTO nodes (${rows.names(ALL)}) SELECT ${rows.names(ALL)} FROM ${rows.from(ALL)}
       ON CONFLICT (id) DO UPDATE SET ${ALL.map((key) => `${rows.names([key])} = excluded.${rows.names([key])}`).join(", ")}
       WHERE nodes.state <> 'lost' OR nodes.finder_until IS NULL OR nodes.finder_until <= $2::double precision
       RETURNING id`,
      [rows.json([row], ALL), nowBy],
    );
    return entered.length > 0;
  },
  async beat(client, { id, bootId, state, url, seenBy, sockets, runs }) {
    const beaten = await client.unsafe(
      `UPDATE nodes SET state = $3, seen_by = $4::double precision, sockets = $5, runs = $6, url = $7
       WHERE id = $1 AND boot_id = $2 AND state IN ('up', 'draining') RETURNING id`,
      [id, bootId, state, seenBy, sockets, runs, url],
    );
    return beaten.length > 0;
  },
  async leave(client, { id, bootId }) {
    await client.unsafe("DELETE FROM nodes WHERE id = $1 AND boot_id = $2 AND state <> 'lost'", [id, bootId]);
  },
  async takeSilent(client, { silentSince, nowBy, finderUntil }) {
    const taken = await client.unsafe(
      `UPDATE nodes SET state = 'lost', finder_until = $3::double precision
       WHERE state <> 'dead' AND seen_by < $1::double precision
         AND (finder_until IS NULL OR finder_until <= $2::double precision) RETURNING *`,
      [silentSince, nowBy, finderUntil],
    );
    return taken.map(nodeOf);
  },
  async buried(client, { id, bootId }, finderUntil) {
    const done = await client.unsafe(
      `UPDATE nodes SET state = 'dead', finder_until = NULL
       WHERE id = $1 AND boot_id = $2 AND state = 'lost' AND finder_until = $3::double precision RETURNING id`,
      [id, bootId, finderUntil],
    );
    return done.length > 0;
  },
  async forget(client, seenBefore) {
    await client.unsafe("DELETE FROM nodes WHERE state = 'dead' AND seen_by < $1::double precision", [
      seenBefore,
    ]);
  },
};

/** Whoever can write was there at the time of the transaction, however long the sign of life stood in line for it. */
function seenAt(command: unknown, now: Instant | null): unknown {
  const { call, given } = command as Call;
  const [node, ...rest] = given as readonly [object, ...unknown[]];
  if (now === null || (call !== "beat" && call !== "enter")) return command;
  return { call, given: [{ ...node, seenBy: now.steadyMs }, ...rest] };
}

/** The writer's side. */
export function createNodeParticipant(): PostgresParticipant {
  const participant = createCallParticipant<Writes>(EXECUTORS);
  return {
    ...participant,
    execute: (commands, client, now) =>
      participant.execute(
        commands.map((command) => seenAt(command, now)),
        client,
        now,
      ),
  };
}

export type NodeReads = Omit<NodeStore, keyof Writes>;

export function createNodeReads(client: PostgresClient): NodeReads {
  return { list: async () => (await client.unsafe("SELECT * FROM nodes ORDER BY id")).map(nodeOf) };
}

export function createPostgresNodeStore(writer: Writer, reads: NodeReads): NodeStore {
  return { ...reads, ...createCalls<Writes>(writer, NODES, WRITES) };
}
