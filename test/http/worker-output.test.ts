/** The output of a remote worker at the edge: what of a body is kept when it was taken, which is nothing. */
import { heapStats } from "bun:jsc";
import { describe, expect, test } from "bun:test";
import { createRegistry } from "../../src/handlers/registry.ts";
import { createRemote } from "../../src/handlers/remote/remote.ts";
import type { HttpServices } from "../../src/http/call.ts";
import { takeItems, type Delivery } from "../../src/http/worker-output.ts";
import { createFeed } from "../../src/jobs/feed.ts";
import { createIds } from "../../src/lib/ids.ts";
import { LIMITS } from "../../src/protocol/limits.ts";
import { createPlace } from "../handlers/run-setup.ts";
import { settle } from "../handlers/virtual-clock.ts";

/** A run that a worker holds, and the call that brings its output as these chunks of a body. */
async function createRun() {
  const { store, clock, on, logger } = createPlace();
  const { jobBytes } = LIMITS;
  const registry = createRegistry([]);
  const remote = createRemote({ store, registry, clock, ids: createIds(clock), logger, jobBytes });
  const services = { store, clock, remote, jobBytes, feed: createFeed(), limits: LIMITS, keepOpen: () => {} };
  const { id, lease } = await on.started({ worker: "w", owner: "worker:token" });
  const bring = (chunks: Iterable<string> | AsyncIterable<string>): Promise<number> => {
    const iterator = (async function* () {
      yield* chunks;
    })();
    const body = new ReadableStream<Uint8Array>({
      async pull(controller) {
        const { done, value } = await iterator.next();
        if (done === true) controller.close();
        else controller.enqueue(new TextEncoder().encode(value));
      },
    });
    const request = new Request("http://127.0.0.1/", {
      method: "POST",
      headers: { "content-type": "application/x-ndjson" },
      body,
    });
    const run: Delivery["run"] = { id, lease, tokenId: "token" };
    const delivery: Delivery = { request, run, first: null, confirm: () => Promise.resolve() };
    return takeItems(services as unknown as HttpServices, delivery);
  };
  return { on, id, remote, bring };
}

const line = (delta: string): string => `${JSON.stringify({ kind: "output.text", data: { delta } })}\n`;

describe("a body of lines", () => {
  test("leaves nothing behind when it was taken, however many there are", async () => {
    const { bring } = await createRun();
    const promises = async (bodies: number): Promise<number> => {
      for (let body = 0; body < bodies; body += 1) await bring(Array.from({ length: 10 }, () => line("x")));
      await settle();
      Bun.gc(true);
      return heapStats().objectTypeCounts["Promise"] ?? 0;
    };
    await promises(20);
    const before = await promises(1);
    expect((await promises(200)) - before).toBeLessThan(200);
  });

  test("ends when its worker is to finish, also one that has nothing to say", async () => {
    const { remote, bring } = await createRun();
    const silence = Promise.withResolvers<string>();
    const body = bring(
      (async function* () {
        yield line("x");
        yield await silence.promise;
      })(),
    );
    await settle();
    remote.terminate();
    expect(await body).toBe(1);
    // Who comes later is told at once.
    expect(await bring([line("y")])).toBe(1);
    silence.resolve("");
  });
});
