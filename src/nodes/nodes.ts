/**
 * The life of this node among the others of its installation: says that it lives, notices who does not, and what to do
 * when it is cut off from the database or was given up by the others.
 *
 * A node that is alone has a row as well, and does nothing more: nobody could notice that it is gone.
 */
import { ownerOf } from "../jobs/holder.ts";
import { sleep, type Timer } from "../lib/clock.ts";
import type { Ids } from "../lib/ids.ts";
import { LIMITS } from "../protocol/limits.ts";
import { giveBack, returnRuns, type BurialOptions } from "./burial.ts";
import type { NodeState } from "../protocol/admin.ts";
import type { SessionOutage } from "../sessions/outage.ts";
import { missingFrom, rolesWith, servesClientsOf } from "./roles.ts";
import type { NodeRecord, NodeStore } from "./store.ts";

export interface NodesOptions extends BurialOptions {
  readonly store: NodeStore;
  readonly ids: Pick<Ids, "any">;
  /** Whether there may be others. */
  readonly several: boolean;
  readonly node: Pick<NodeRecord, "id" | "bootId" | "role" | "version" | "host">;
  /** Where it listens, as far as that is known. */
  readonly url: () => string;
  readonly counts: () => { readonly sockets: number; readonly runs: number };
  /** Hears, with every sign of life of this node, who is there. */
  readonly expect: (ids: readonly string[]) => void;
  readonly sessionOutage: Pick<SessionOutage, "away">;
  /** Every socket is told to connect again, which leads its client to a node that can serve it. */
  readonly sendAway: () => void;
  /** What runs here belongs to others, or soon will: it stops, and what is claimed from now on is held by this boot. */
  readonly disown: (bootId: string) => void;
}

export interface Nodes {
  /** The database has not answered for a while, or the others have given this node up: it takes nothing more, for now. */
  readonly cutOff: boolean;
  /** The storage answered, whatever it was asked. */
  answered(): void;
  /** All nodes as they were last seen; this one as it is now. */
  list(): Promise<readonly NodeRecord[]>;
  /** How many there are by state, as far as this one knows. */
  readonly states: Readonly<Record<NodeState, number>>;
  /** No other node that is up serves clients in what this one does, as far as this one knows: nobody could move there. */
  readonly last: boolean;
  /** Takes its row, and with it its place among the others. Rejects as the storage does. */
  start(): Promise<void>;
  /** Says that it is about to leave, and hears who stays. */
  drain(): Promise<void>;
  /** Leaves for good. */
  stop(): Promise<void>;
}

/** How often it is looked whether something is due. */
const LOOK_MS = 500;
/** How often a node asks for its place while an earlier boot of it is being buried. */
const ENTER_AGAIN_MS = 250;

export function createNodes(options: NodesOptions): Nodes {
  const { store, clock, ids, logger, several } = options;
  const { id } = options.node;
  const startedAt = Math.round(clock.wallMs());
  let { bootId } = options.node;
  let state: "up" | "draining" = "up";
  let known: readonly NodeRecord[] = [];
  /** Looks since the storage answered last: a clock would count time in which nobody could listen. */
  let unanswered = 0;
  let sinceBeat = 0;
  let cutOff = false;
  let disowned = false;
  let beating: Promise<void> | null = null;
  let tending: Promise<void> | null = null;
  /** Runs of earlier boots of this node may not have been given back. */
  let owing = false;
  let timer: Timer | null = null;
  const over = new AbortController();

  const self = (): NodeRecord => ({
    ...options.node,
    bootId,
    state,
    url: options.url(),
    startedAt,
    seenBy: clock.steadyMs(),
    ...options.counts(),
  });

  /** Resolves with the moment it came in. */
  const enter = async (): Promise<number> => {
    for (;;) {
      const { state: _state, ...node } = self();
      if (await store.enter(node, node.seenBy)) return node.seenBy;
      await sleep(clock, ENTER_AGAIN_MS, over.signal);
    }
  };

  const disown = (): void => {
    disowned = true;
    bootId = ids.any();
    options.disown(bootId);
  };

  const shut = (): void => {
    if (cutOff) return;
    cutOff = true;
    options.sendAway();
  };

  /** The others gave this node up, or nobody knows of it: it comes back as one that has just started. */
  const rise = async (): Promise<void> => {
    logger.warn({ node: id }, "this node was given up by the others: it begins anew");
    shut();
    disown();
    owing = true;
    await enter();
  };

  const serveAgain = async (boot: string): Promise<void> => {
    // Whoever sat here has left, and what they left behind could not be stored. Where sessions are kept elsewhere and that
    // is out of reach, who left is remembered and written down with all others; nobody waits for it here.
    if (!options.sessionOutage.away) await options.sessions.abandoned(id);
    // Given up or cut off again meanwhile: it begins anew after the next sign of life.
    if (boot !== bootId || unanswered * LOOK_MS >= LIMITS.nodeCutOffMs) return;
    logger.info({ node: id }, "this node serves again");
    cutOff = false;
    disowned = false;
  };

  /** Whoever was not heard of since then. */
  const bury = async (silentSince: number): Promise<void> => {
    const nowBy = clock.steadyMs();
    const finderUntil = nowBy + LIMITS.nodeBurialMs;
    for (const node of await store.takeSilent({ silentSince, nowBy, finderUntil })) {
      await giveBack(options, node, ownerOf(id, bootId));
      await store.buried(node, finderUntil);
    }
    await store.forget(nowBy - LIMITS.nodeDeadKeptMs);
  };

  const notBuried = (error: unknown): void => logger.warn({ error }, "a silent node could not be buried");

  const isSilent = ({ state: seen, seenBy }: NodeRecord): boolean =>
    seen === "lost" ||
    seenBy < clock.steadyMs() - (seen === "dead" ? LIMITS.nodeDeadKeptMs : LIMITS.nodeSilentMs);

  /** Said once for each set of duties that nobody has: such an installation takes jobs that never run. */
  let missing = "";
  const tellMissing = (): void => {
    // Who is leaving may be leaving with all the others.
    if (state !== "up") return;
    const roles = known.filter(({ state: seen }) => seen === "up").map(({ role }) => role);
    const duties = missingFrom(roles);
    if (duties.join() === missing) return;
    missing = duties.join();
    for (const duty of duties)
      logger.warn(
        { duty, roles: rolesWith(duty) },
        "no node of this installation does this: start one with such a role",
      );
  };

  const beat = async (): Promise<void> => {
    const alive = await store.beat({ ...self(), state });
    if (!alive && state === "up") await rise();
    unanswered = 0;
    known = await store.list();
    tellMissing();
    options.expect(
      known.filter(({ state: seen }) => seen === "up" || seen === "draining").map((node) => node.id),
    );
    // Nearly always there is nothing to do, which is known without a write.
    if (owing || cutOff || known.some(isSilent)) tendNow();
  };

  /**
   * What has to be given back: after this node was given up, cut off, or when others fell silent. It takes longer than
   * this node may be silent itself where a crowd has moved, so it goes on beside the signs of life.
   */
  const tend = async (): Promise<void> => {
    const boot = bootId;
    // If nobody else did: their leases may be good for a while yet.
    if (owing) await returnRuns(options, { id, bootId: null }, ownerOf(id, boot));
    if (boot === bootId) owing = false;
    if (cutOff) await serveAgain(boot);
    if (!known.some(isSilent)) return;
    await bury(clock.steadyMs() - LIMITS.nodeSilentMs).catch(notBuried);
    known = await store.list();
  };

  const tendNow = (): void => {
    tending ??= tend()
      .catch((error: unknown) =>
        logger.warn({ error }, "not everything could be given back; it is tried again"),
      )
      .finally(() => {
        tending = null;
      });
  };

  const beatNow = (): Promise<void> => {
    sinceBeat = 0;
    beating ??= beat()
      .catch((error: unknown) => logger.warn({ error }, "this node could not say that it lives"))
      .finally(() => {
        beating = null;
      });
    return beating;
  };

  const look = (): void => {
    unanswered += 1;
    sinceBeat += 1;
    if (!cutOff && unanswered * LOOK_MS >= LIMITS.nodeCutOffMs) {
      logger.error({ node: id }, "the database does not answer: this node takes nothing more until it does");
      shut();
    }
    // Nobody renewed the leases: what still runs could write nothing.
    if (!disowned && unanswered * LOOK_MS >= LIMITS.leaseMs) disown();
    if (cutOff || sinceBeat * LOOK_MS >= LIMITS.nodeBeatMs) void beatNow();
  };

  return {
    get cutOff() {
      return cutOff;
    },
    answered() {
      unanswered = 0;
    },
    async list() {
      const others = (await store.list()).filter((node) => node.id !== id);
      return [...others, { ...self() }].toSorted((a, b) => (a.id < b.id ? -1 : 1));
    },
    get states() {
      const counts = { up: 0, draining: 0, lost: 0, dead: 0 };
      for (const node of known) if (node.id !== id) counts[node.state] += 1;
      counts[state] += 1;
      return counts;
    },
    get last() {
      const others = known.filter((node) => node.id !== id && node.state === "up").map(({ role }) => role);
      return !others.some((role) => servesClientsOf(options.node.role, role));
    },
    async start() {
      const enteredBy = await enter();
      known = await store.list();
      // Who is alone knows that nobody else lives.
      if (known.some((node) => node.id !== id))
        await bury(several ? enteredBy - LIMITS.nodeSilentMs : enteredBy);
      if (several) timer ??= clock.every(LOOK_MS, look);
    },
    async drain() {
      state = "draining";
      if (several) await beatNow();
    },
    async stop() {
      timer?.cancel();
      timer = null;
      over.abort(new Error("the node stops"));
      await beating;
      await tending;
      await store
        .leave({ id, bootId })
        .catch((error: unknown) => logger.warn({ error }, "this node could not say that it leaves"));
    },
  };
}
