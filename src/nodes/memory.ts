/** The memory driver of `NodeStore`, the reference: for tests, and for a simulation that is one process. */
import type { Installation, NodeRecord, NodeStore } from "./store.ts";

interface Row extends NodeRecord {
  readonly finderUntil: number | null;
}

export function createMemoryNodeStore(): NodeStore {
  const rows = new Map<string, Row>();
  let installed: Installation | null = null;
  /** The row if it is this boot's. */
  const ofBoot = ({ id, bootId }: Pick<NodeRecord, "id" | "bootId">): Row | null => {
    const row = rows.get(id);
    return row?.bootId === bootId ? row : null;
  };

  return {
    installation: async (fresh) => (installed ??= fresh),
    async enter(node, nowBy) {
      const row = rows.get(node.id);
      if (row?.state === "lost" && (row.finderUntil ?? 0) > nowBy) return false;
      rows.set(node.id, { ...node, state: "up", finderUntil: null });
      return true;
    },
    async beat(beat) {
      const row = ofBoot(beat);
      if (row === null || row.state === "lost" || row.state === "dead") return false;
      rows.set(beat.id, { ...row, ...beat });
      return true;
    },
    async leave(node) {
      const row = ofBoot(node);
      if (row !== null && row.state !== "lost") rows.delete(node.id);
    },
    async takeSilent({ silentSince, nowBy, finderUntil }) {
      const taken = [...rows.values()].filter(
        (row) => row.state !== "dead" && row.seenBy < silentSince && (row.finderUntil ?? 0) <= nowBy,
      );
      return taken.map(({ finderUntil: _before, ...node }) => {
        const lost = Object.assign(node, { state: "lost" as const });
        rows.set(node.id, { ...lost, finderUntil });
        return lost;
      });
    },
    async buried(node, finderUntil) {
      const row = ofBoot(node);
      if (row?.state !== "lost" || row.finderUntil !== finderUntil) return false;
      rows.set(row.id, { ...row, state: "dead", finderUntil: null });
      return true;
    },
    async forget(seenBefore) {
      for (const row of rows.values())
        if (row.state === "dead" && row.seenBy < seenBefore) rows.delete(row.id);
    },
    list: async () =>
      [...rows.values()]
        .toSorted((a, b) => (a.id < b.id ? -1 : 1))
        .map(({ finderUntil: _until, ...node }) => node),
  };
}
