/** Three nodes and their clients, one of the nodes behind a cable that can be cut, as the faults and the judge see them. */
import type { Random } from "../../faults/proxy.ts";
import { startCluster, type Cluster } from "../../support/cluster.ts";
import { startIsland, type Island } from "../../support/island.ts";
import type { TestServer } from "../../support/server.ts";
import { openStubbornClient, type StubbornClient } from "../../support/stubborn-client.ts";

/** Everybody with a socket is in it. */
export const HALL = "hall";
const USERS = 8;

/** A fault, from its beginning to where nothing could be told of it any more. All of them `Date.now()`. */
export interface Blow {
  readonly name: string;
  readonly struckAt: number;
  readonly healedAt: number;
  readonly wellAt: number;
  /** What it stopped has to be given to others until then. */
  readonly returnedBy: number;
}

export interface Scene extends AsyncDisposable {
  readonly cluster: Cluster;
  readonly island: Island;
  /** The last of them is on the island. */
  readonly nodes: readonly TestServer[];
  readonly clients: readonly StubbornClient[];
  readonly blows: Blow[];
  /** What broke a promise, as it is found. */
  readonly flaws: string[];
  readonly random: Random;
  /** Whether clients may leave their sockets by themselves. */
  roaming: boolean;
  /** One of the nodes. */
  anyNode(): TestServer;
  userToken(n: number): string;
}

export interface SceneOptions {
  readonly clients: number;
  readonly random: Random;
}

async function startNodes(cluster: Cluster, island: Island): Promise<TestServer[]> {
  const overCable = (url: string): string => url.replace("127.0.0.1", island.mainland);
  // The first one makes the schema and the key; the others could as well, and are tried at that elsewhere.
  const first = await cluster.start();
  return [
    first,
    ...(await Promise.all([
      cluster.start(),
      cluster.start({
        under: island.under,
        host: island.address,
        env: {
          HOLDLINE_DATABASE_URL: overCable(cluster.databaseUrl),
          HOLDLINE_REDIS_URL: overCable(cluster.redis.url),
        },
      }),
    ])),
  ];
}

export async function openScene({ clients: count, random }: SceneOptions): Promise<Scene> {
  const stack = new AsyncDisposableStack();
  try {
    const island = stack.use(await startIsland());
    const cluster = stack.use(await startCluster({ alsoAt: island.mainland }));
    const nodes = await startNodes(cluster, island);
    const userToken = (n: number): string => cluster.userToken(`user-${n % USERS}`);
    const opening = Array.from({ length: count }, (_, n) =>
      openStubbornClient(nodes, { userToken: userToken(n), random }),
    );
    const clients = await Promise.all(opening);
    for (const client of clients) stack.use(client);
    for (const { clients: sockets } of clients) await sockets[0]?.ask({ type: "join", room: HALL });
    return {
      cluster,
      island,
      nodes,
      clients,
      blows: [],
      flaws: [],
      random,
      roaming: true,
      anyNode: () => {
        const node = nodes[Math.floor(random() * nodes.length)];
        if (node === undefined) throw new Error("there are three");
        return node;
      },
      userToken,
      [Symbol.asyncDispose]: () => stack.disposeAsync(),
    };
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}
