/** The names under which processes of an installation hold leases: which node, and which start of it. */

/** Who holds what a process runs. Neither id contains a colon. */
export function ownerOf(nodeId: string, bootId: string): string {
  return `boot:${nodeId}:${bootId}`;
}

/** How the owners of a node begin, or that of one boot of it, each with a colon behind it. */
export function ownerPrefix(nodeId: string, bootId: string | null): string {
  return bootId === null ? `boot:${nodeId}:` : `${ownerOf(nodeId, bootId)}:`;
}

/** Whether an owner begins so. */
export function hasPrefix(owner: string | null, prefix: string): boolean {
  return `${owner ?? ""}:`.startsWith(prefix);
}
