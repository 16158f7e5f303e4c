/** What nodes of each role serve and run, on real servers: sockets at one, HTTP at another, jobs at a third. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "bun:test";
import { connect } from "../support/client.ts";
import { startCluster } from "../support/cluster.ts";
import { apiOf, call, expectProblem, tokensBody } from "../support/http.ts";
import type { TestServer } from "../support/server.ts";
import { until } from "../support/wait.ts";

const LIMIT_MS = 60_000;

const SHOUT = `import { defineHandler, z } from "holdline";
export default defineHandler({
  type: "shout",
  input: z.object({ text: z.string() }),
  async run(job, input) {
    await job.text(input.text.toUpperCase());
    return { shouted: true };
  },
});
`;

/** A path of each kind, and who serves it. */
const PATHS: readonly (readonly [path: string, roles: readonly string[]])[] = [
  ["/v1/connect", ["gateway", "all"]],
  ["/v1/sessions", ["gateway", "api", "all"]],
  ["/v1/sessions/current", ["gateway", "api", "all"]],
  ["/v1/jobs", ["api", "all"]],
  ["/v1/types", ["api", "all"]],
  ["/v1/rooms/lobby/presence", ["api", "all"]],
  ["/v1/worker/lease", ["api", "all"]],
  ["/openapi.json", ["api", "all"]],
  ["/", ["api", "all"]],
  ["/v1/admin/nodes", ["gateway", "api", "worker", "all"]],
  ["/metrics", ["gateway", "api", "worker", "all"]],
  ["/readyz", ["gateway", "api", "worker", "all"]],
];

async function expectServed(server: TestServer, role: string): Promise<void> {
  const refused = `This node has the role ${role} and does not serve this; nodes with the role `;
  for (const [path, roles] of PATHS) {
    const answer = await call("GET", server.url + path);
    const detail = (answer.body as { detail?: string }).detail ?? "";
    if (roles.includes(role)) expect([path, detail.startsWith(refused)]).toEqual([path, false]);
    else {
      expectProblem(answer, 404, "not_found");
      expect([path, detail]).toEqual([
        path,
        `${refused}${["all", ...roles.filter((r) => r !== "all")].join(" or ")} do.`,
      ]);
    }
  }
}

test(
  "faults/R24: sockets, HTTP and jobs on nodes of their own; a job whose handler no worker has stays queued until one comes",
  async () => {
    await using cluster = await startCluster();
    const handlers = await mkdtemp(join(tmpdir(), "holdline-handlers-"));
    try {
      await Bun.write(join(handlers, "shout.ts"), SHOUT);
      const asked = (role: string, more: Record<string, string> = {}) =>
        cluster.start({ env: { HOLDLINE_ROLE: role, ...more } });
      const gateway = await asked("gateway");
      const api = await asked("api", { HOLDLINE_HANDLERS_DIR: handlers });
      const mara = cluster.userToken("mara");
      const at = apiOf(api, mara);
      await using client = await connect(gateway, { token: mara });

      // Nobody runs jobs yet: they are accepted, and wait.
      const first = await at.submit(tokensBody({ tokens: 20, intervalMs: 5 }));
      await client.attach(first.id);
      await until("the log to tell that nobody runs jobs", () =>
        gateway.logs().some(({ level, duty }) => level === "warn" && duty === "jobs"),
      );
      expect((await at.job(first.id)).status).toBe("queued");

      const worker = await asked("worker");
      expect((await client.waitForEnd(first.id, 20_000)).kind).toBe("job.succeeded");
      const shout = await at.submit({ type: "shout", input: { text: "hello" } });
      await client.attach(shout.id);
      // What it can run it runs, before and after.
      for (let n = 0; n < 3; n += 1)
        expect((await at.finished((await at.submit(tokensBody())).id)).status).toBe("succeeded");
      expect((await at.job(shout.id)).status).toBe("queued");
      expect((await at.job(shout.id)).attempt).toBe(0);

      const able = await asked("worker", { HOLDLINE_HANDLERS_DIR: handlers });
      expect((await client.waitForEnd(shout.id, 20_000)).kind).toBe("job.succeeded");
      expect((await at.output(shout.id)).text).toBe("HELLO");

      for (const [server, role] of [
        [gateway, "gateway"],
        [api, "api"],
        [worker, "worker"],
      ] as const)
        await expectServed(server, role);
      await until("every node to know of all", async () => {
        const seen = await Promise.all([gateway, api, worker, able].map((one) => cluster.nodesSeenBy(one)));
        return seen.every(
          (nodes) =>
            nodes
              .map(({ role }) => role)
              .toSorted()
              .join() === "api,gateway,worker,worker",
        );
      });
    } finally {
      await rm(handlers, { recursive: true, force: true });
    }
  },
  2 * LIMIT_MS,
);
