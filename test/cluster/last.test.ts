/** The last node there is leaves as a single server does: nobody can move, so that who watches a run sees its end. */
import { expect, test } from "bun:test";
import { connect } from "../support/client.ts";
import { startCluster } from "../support/cluster.ts";
import { apiOf, tokensBody } from "../support/http.ts";

test("a node that has Redis and no other node beside it ends its runs before its sockets", async () => {
  await using cluster = await startCluster({ open: true });
  const other = await cluster.start({});
  const node = await cluster.start({});
  await other.kill("SIGTERM");
  await other.exited(10_000);
  await using watcher = await connect(node);
  // Longer than a node that leaves others behind waits for those who move.
  const { id } = await apiOf(node, watcher.token).submit(tokensBody({ tokens: 100, intervalMs: 40 }));
  await watcher.waitForEvent(id, "its first words", ({ kind }) => kind === "output.text");
  const left = node.exited(20_000);
  await node.kill("SIGTERM");
  expect((await watcher.waitForEnd(id)).kind).toBe("job.succeeded");
  expect(await watcher.waitForClose()).toEqual({ code: 4000, reason: "draining" });
  expect(await left).toEqual({ code: 0, signal: null });
}, 60_000);
