/** What is done to the nodes, to PostgreSQL, to Redis and to the cable, one after the other, and undone again. */
import { LIMITS } from "../../../src/protocol/limits.ts";
import type { Dropped } from "../../support/island.ts";
import type { TestServer } from "../../support/server.ts";
import { letTimePass, until } from "../../support/wait.ts";
import type { Scene } from "./scene.ts";
import { untilWell } from "./well.ts";

/** Silence, two beats, and what a busy machine adds: whoever is gone for so long is buried, and what it ran returned. */
const BURIED_MS = LIMITS.nodeSilentMs + 2 * LIMITS.nodeBeatMs + 1000;
const DRAINED_MS = 60_000;
const RECOVERY_MS = 30_000;
/** What an operator's script does. */
const RESTARTED_MS = 1000;

export interface Fault {
  readonly name: string;
  /** Sessions that have no socket in that moment are over (docs/protocol.md, section 7): all of them have one. */
  readonly emptiesRedis?: true;
  /** One node is gone for so long that the others bury it: its runs are returned before it is back. */
  readonly buries?: boolean;
  /** Until what was broken is whole again; what follows from that takes its time. */
  strike(scene: Scene): Promise<void>;
}

const port = (url: string): number => Number(new URL(url).port);

function cutting(what: "PostgreSQL" | "Redis" | "both", dropped: Dropped, holdMs: number): Fault {
  const way = dropped === "both" ? "" : `, ${dropped}wards only`;
  return {
    name: `cut off from ${what}${way} for ${holdMs / 1000} s`,
    buries: what !== "Redis" && holdMs >= BURIED_MS,
    async strike({ cluster, island }) {
      const ports = { PostgreSQL: [port(cluster.databaseUrl)], Redis: [port(cluster.redis.url)] };
      await island.cut(what === "both" ? Object.values(ports).flat() : ports[what], dropped);
      await letTimePass(holdMs);
      await island.heal();
    },
  };
}

function killing(holdMs: number): Fault {
  return {
    name: `a node is killed and is back after ${holdMs / 1000} s`,
    buries: holdMs >= BURIED_MS,
    async strike(scene) {
      const node = scene.anyNode();
      await node.kill("SIGKILL");
      await letTimePass(holdMs);
      await node.restart();
    },
  };
}

export const FAULTS: readonly Fault[] = [
  killing(BURIED_MS),
  killing(RESTARTED_MS),
  {
    name: "a node leaves and comes again",
    async strike(scene) {
      const node = scene.anyNode();
      await node.kill("SIGTERM");
      const { code } = await node.exited(DRAINED_MS);
      if (code !== 0) scene.flaws.push(`a node that was asked to leave ended with ${code}`);
      await node.restart();
    },
  },
  {
    name: "PostgreSQL is killed and is back after 3 s",
    async strike({ cluster: { postgres } }) {
      process.kill(await postgres.pid(), "SIGKILL");
      await letTimePass(3000);
      // Its processes find out one after the other; until the last has, it does not start.
      const back = (): Promise<boolean> =>
        postgres.resume().then(
          () => true,
          () => false,
        );
      await until("PostgreSQL to start", back, RECOVERY_MS);
    },
  },
  {
    name: "PostgreSQL is away for 8 s",
    async strike({ cluster: { postgres } }) {
      await postgres.halt("immediate");
      await letTimePass(8000);
      await postgres.resume();
    },
  },
  {
    name: "Redis is killed and back empty after 5 s",
    emptiesRedis: true,
    async strike({ cluster: { redis } }) {
      await redis.halt("kill");
      await letTimePass(5000);
      await redis.resume();
    },
  },
  {
    name: "PostgreSQL is away for 8 s, and Redis for longer",
    emptiesRedis: true,
    async strike({ cluster: { postgres, redis }, nodes }) {
      await redis.halt("kill");
      await postgres.halt("immediate");
      await letTimePass(8000);
      await postgres.resume();
      const isReady = async ({ url }: TestServer): Promise<boolean> =>
        (await fetch(`${url}/readyz`, { keepalive: false })).status === 200;
      for (const node of nodes) await until("it to serve without Redis", () => isReady(node), RECOVERY_MS);
      await redis.resume();
    },
  },
  {
    name: "Redis is emptied",
    emptiesRedis: true,
    async strike({ cluster: { redis } }) {
      await redis.command("FLUSHALL");
    },
  },
  {
    name: "Redis stands still for 5 s",
    async strike({ cluster: { redis } }) {
      redis.freeze();
      await letTimePass(5000);
      redis.wake();
    },
  },
  cutting("PostgreSQL", "both", BURIED_MS),
  cutting("PostgreSQL", "both", 3000),
  cutting("Redis", "both", 8000),
  cutting("both", "both", BURIED_MS),
  cutting("both", "out", BURIED_MS),
  cutting("both", "in", BURIED_MS),
];

function shuffled<Item>(items: readonly Item[], random: () => number): Item[] {
  return items
    .map((item) => ({ item, place: random() }))
    .toSorted((one, other) => one.place - other.place)
    .map(({ item }) => item);
}

/** One fault after the other in a drawn order, again and again, until the time is over; each once at least if `all`. */
export async function strikeAll(scene: Scene, untilMs: number, only: string): Promise<void> {
  const chosen = FAULTS.filter(({ name }) => name.includes(only));
  for (;;) {
    for (const fault of shuffled(chosen, scene.random)) {
      if (Date.now() > untilMs) return;
      scene.roaming = fault.emptiesRedis !== true;
      if (!scene.roaming) await untilWell(scene);
      const struckAt = Date.now();
      process.stdout.write(`${fault.name}: `);
      await fault.strike(scene);
      const healedAt = Date.now();
      const last = await untilWell(scene);
      const wellAt = Date.now();
      scene.roaming = true;
      const returnedBy = fault.buries === true ? struckAt + BURIED_MS : Number.POSITIVE_INFINITY;
      scene.blows.push({ name: fault.name, struckAt, healedAt, wellAt, returnedBy });
      process.stdout.write(`well ${wellAt - healedAt} ms after its end; last: ${last}\n`);
      await letTimePass(1000 + 1000 * scene.random());
    }
  }
}
