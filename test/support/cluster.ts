/** Several real servers on one PostgreSQL database and one Redis server, as an operator would run them. */
import { randomBytes } from "node:crypto";
import { startPostgres, type PostgresServer } from "./postgres.ts";
import { startRedis, type RedisServer } from "./redis.ts";
import { startServer, type ServerOptions, type TestServer } from "./server.ts";
import { apiOf, type Api } from "./http.ts";
import { issueToken } from "./operator.ts";
import { userToken } from "./tokens.ts";

/** A process of the installation as `GET /v1/admin/nodes` shows it. */
export interface NodeBody {
  readonly id: string;
  readonly boot: string;
  readonly role: string;
  readonly state: string;
  readonly url: string;
  readonly connections: number;
  readonly running: number;
}

export interface Cluster extends AsyncDisposable {
  readonly postgres: PostgresServer;
  readonly redis: RedisServer;
  readonly databaseUrl: string;
  /** One more node; `env` on top of what all have. Gone with the cluster. */
  start(options?: ServerOptions): Promise<TestServer>;
  /** What the identity provider gave this user; every node knows it. */
  userToken(userId: string): string;
  /** An operator, at this node. */
  adminAt(server: TestServer): Api;
  nodesSeenBy(server: TestServer): Promise<readonly NodeBody[]>;
}

export interface ClusterOptions {
  /** No users; whoever comes gets a session. */
  readonly open?: boolean;
  /** One more address at which PostgreSQL and Redis listen. */
  readonly alsoAt?: string;
}

export async function startCluster({ open = false, ...where }: ClusterOptions = {}): Promise<Cluster> {
  const [postgres, redis] = await Promise.all([startPostgres(where), startRedis(where)]);
  const databaseUrl = await postgres.database();
  const secret = randomBytes(32).toString("hex");
  const servers: TestServer[] = [];
  let adminToken = "";
  const adminAt = (server: TestServer): Api => apiOf(server, adminToken);
  return {
    postgres,
    redis,
    databaseUrl,
    async start({ env = {}, ...more } = {}) {
      const shared = {
        HOLDLINE_DATABASE_URL: databaseUrl,
        HOLDLINE_REDIS_URL: redis.url,
        ...(open ? { HOLDLINE_AUTH: "open" } : { HOLDLINE_AUTH_SECRET: secret }),
        HOLDLINE_TOKENS: "on",
      };
      const server = await startServer({ ...more, env: { ...shared, ...env } });
      servers.push(server);
      if (adminToken === "")
        adminToken = (await issueToken(server, "admin", "--database-url", databaseUrl)).token;
      return server;
    },
    userToken: (userId) => userToken(secret, { sub: userId }),
    adminAt,
    async nodesSeenBy(server) {
      const answer = await adminAt(server).call<{ items: NodeBody[] }>("GET", "/v1/admin/nodes");
      if (answer.status !== 200) throw new Error(`GET /v1/admin/nodes: ${answer.status} ${answer.text}`);
      return answer.body.items;
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(servers.map((server) => server[Symbol.asyncDispose]()));
      await Promise.all([postgres.remove(), redis.remove()]);
    },
  };
}
