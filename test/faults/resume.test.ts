/** What was committed and did not arrive, and what arrived and was never confirmed: R05, R06, R33, R34, R37. */
import { describe, expect, test } from "bun:test";
import { connect } from "../support/client.ts";
import { apiOf, newSession, tokensBody, type Api } from "../support/http.ts";
import { checkDeliveries, expectWhole, type Delivery } from "../support/log-checker.ts";
import { sharedServer, startServer } from "../support/server.ts";
import { openNdjson, openSse } from "../support/streams.ts";
import { openStubbornClient } from "../support/stubborn-client.ts";
import { until } from "../support/wait.ts";
import type { EventBody } from "../support/wire.ts";
import { startPageClient } from "./page-client.ts";
import { startProxy, withSeed } from "./proxy.ts";

const server = sharedServer();

/** Text and audio in turns: nothing of it is folded, so every entry is a frame. */
const MIXED = { tokens: 12, size: 20, audioBytes: 64 } as const;

test("faults/R05 killed between commit and sending: what nobody was shown arrives on resume", async () => {
  await using mortal = await startServer();
  await using proxy = await startProxy({ to: mortal.port });
  await using page = startPageClient(proxy.url, { random: () => 0 });
  const recorded = page.record(
    page.client.submit(tokensBody({ tokens: 60, size: 8, intervalMs: 10, audioBytes: 32 })),
  );
  const id = await recorded.job.accepted;
  const { session, token } = await welcomeOf(page);
  await until("the job to speak", () => recorded.job.cursor >= 6);
  // From here on commits go on, and nothing of them leaves the machine.
  for (const link of proxy.links) link.blackhole("down");
  const shown = recorded.job.cursor;
  const api = apiOf(mortal, token);
  const { head } = await until("entries to be committed unseen", async () => {
    const job = await api.job(id);
    return job.head >= shown + 20 && job;
  });
  // What had left already may still have arrived.
  expect(recorded.job.cursor).toBeLessThan(head - 10);
  await mortal.restart();
  for (const link of proxy.links) link.cut("reset");
  await recorded.job.result;
  const log = await api.log(id);
  expect(log.length).toBeGreaterThan(head);
  // The unseen entries stand in the log as they were committed, and were handed on.
  expectWhole(log, [recorded.delivery()]);
  expect(page.gaps).toEqual([]);
  expect((await welcomeOf(page)).session).toBe(session);
});

async function welcomeOf(
  page: ReturnType<typeof startPageClient>,
): Promise<{ session: string; token: string }> {
  await page.online();
  const { state } = page.client;
  if (state.phase !== "online") throw new Error("not online");
  return { session: state.welcome.session.id, token: state.welcome.token };
}

test("faults/R06 killed after sending, before the receipt: what is sent again has the same seq and the same bytes", async () => {
  await using mortal = await startServer();
  const first = await connect(mortal);
  const api = apiOf(mortal, first.token);
  const { id } = await api.submit(tokensBody(MIXED));
  await first.waitForEnd(id);
  const rawOf = (client: typeof first): unknown[] =>
    client.received.flatMap((item): unknown[] =>
      item.kind === "binary" ? [item.event] : item.frame.type === "event" ? [item.frame] : [],
    );
  const before = rawOf(first);
  // Nothing was acknowledged: the job is still listed, and its end is owed.
  await mortal.restart();
  await using again = await connect(mortal, { token: first.token });
  expect(again.welcome.jobs?.map((job) => [job.id, job.terminal])).toEqual([[id, true]]);
  await again.attach(id);
  await again.waitForEnd(id);
  expect(rawOf(again)).toEqual(before);
  expectWhole(await api.log(id), [
    { after: 0, events: first.events(id) },
    { after: 0, events: again.events(id) },
  ]);
});

describe("R33 cut in the middle of a message", () => {
  test("faults/R33 a stream cut after k bytes, for many k: no part of a message is handed on, and the rest follows", () =>
    withSeed(async (random) => {
      const first = await connect(server());
      const api = apiOf(server(), first.token);
      const { id } = await api.submit(tokensBody(MIXED));
      await api.finished(id);
      await first.close();
      const log = await api.log(id);
      let hurt = 0;
      let cut = 0;
      // The handshake, the welcome, the answer to the attach, and every frame are cut somewhere.
      for (let k = 1 + Math.floor(random() * 37); ; k += 37) {
        await using proxy = await startProxy({ to: server().port });
        proxy.plan((connection) =>
          connection === 0
            ? { down: { cutAfterBytes: k }, cutBy: random() < 0.5 ? "end" : "reset" }
            : connection < 3
              ? { down: { cutAfterBytes: k + 1 + Math.floor(random() * 500) } }
              : {},
        );
        // A session of its own: only its owner's token may attach, so it is handed over by the storage.
        const values = new Map([
          [
            `holdline:${proxy.url}`,
            JSON.stringify({ sessionId: first.sessionId, token: first.token, jobs: [] }),
          ],
        ]);
        await using page = startPageClient(proxy.url, {
          random: () => 0,
          storage: {
            getItem: (key) => values.get(key) ?? null,
            setItem: (key, value) => void values.set(key, value),
            removeItem: (key) => void values.delete(key),
          },
        });
        const recorded = page.record(page.client.job(id));
        await recorded.job.result;
        expect(checkDeliveries(log, [recorded.delivery()])).toEqual([]);
        expect(recorded.job.cursor).toBe(log.length);
        expect(page.gaps).toEqual([]);
        cut += proxy.links[0]?.passed.down === k ? 1 : 0;
        hurt += recorded.events.length > 0 && proxy.links.length > 1 ? 1 : 0;
        if (proxy.links.length === 1) break;
      }
      expect(cut).toBeGreaterThan(50);
      expect(hurt).toBe(cut);
    }));

  test("faults/R33 a request cut after k bytes, for many k: it counts whole or not at all, and its key makes it one job", () =>
    withSeed(async (random) => {
      const api = await newSession(server());
      const body = tokensBody();
      let accepted = 0;
      let rounds = 0;
      for (let k = 1 + Math.floor(random() * 41); ; k += 41) {
        await using proxy = await startProxy({ to: server().port });
        proxy.plan({ up: { cutAfterBytes: k } });
        const far = apiOf(proxy, api.token);
        const key = { "idempotency-key": `cut-${k}` };
        const answer = await far.post(body, key).catch(() => null);
        rounds += 1;
        const again = await api.post(body, key);
        expect(again.status).toBe(202);
        // Whatever became of the first try, there is one job under this key.
        const third = await api.post(body, key);
        expect([third.status, third.body.id]).toEqual([202, again.body.id]);
        if (again.headers.get("idempotent-replayed") === "true") accepted += 1;
        if (answer?.status === 202) break;
      }
      const list = await api.call<{ items: unknown[] }>("GET", "/v1/jobs?limit=200");
      expect(list.body.items.length).toBe(rounds);
      // Only a request that was there to its last byte was carried out.
      expect(accepted).toBe(1);
    }));
});

/** Until the job has ended; what every connection brought is compared with the log. */
async function expectDelivered(api: Api, id: string, deliveries: Delivery[]): Promise<EventBody[]> {
  const log = await api.log(id);
  expectWhole(log, deliveries);
  return log;
}

test(
  "faults/R34 two seconds of delay, writes of one byte, resets at random: every log is delivered whole",
  () =>
    withSeed(async (random, seed) => {
      await using delayed = await startProxy({ to: server().port, seed });
      delayed.plan({ up: { delayMs: 1000 }, down: { delayMs: 1000 } });
      await using tiny = await startProxy({ to: server().port, seed });
      tiny.plan({ up: { pieceBytes: 1 }, down: { pieceBytes: 1 } });
      await using resetting = await startProxy({ to: server().port, seed });
      resetting.plan((_connection, draw) => ({
        down: { cutAfterBytes: 600 + Math.floor(draw() * 6000) },
        cutBy: "reset",
      }));
      const mixed = tokensBody({ tokens: 150, size: 16, intervalMs: 5, audioBytes: 32 });
      // Text alone is folded for who catches up: one frame is many entries then.
      const text = tokensBody({ tokens: 300, size: 16, intervalMs: 5 });
      const runs = [delayed, tiny, resetting].map(async (proxy) => {
        const body = proxy === resetting ? text : mixed;
        // Full waits would be half a minute in the end: connections this short count as failures.
        await using page = startPageClient(proxy.url, { random: () => random() * 0.05 });
        const recorded = page.record(page.client.submit(body));
        const id = await recorded.job.accepted;
        await recorded.job.result;
        const { token } = await welcomeOf(page);
        await expectDelivered(apiOf(server(), token), id, [recorded.delivery()]);
        expect(page.gaps).toEqual([]);
        return proxy.links.length;
      });
      const links = await Promise.all(runs);
      expect(links[2]).toBeGreaterThan(4);
    }),
  60_000,
);

test("faults/R34 clients that know only the protocol come through resets too", () =>
  withSeed(async (_random, seed) => {
    await using proxy = await startProxy({ to: server().port, seed });
    proxy.plan((connection, draw) => ({
      down: { cutAfterBytes: connection < 4 ? 3000 : 2000 + Math.floor(draw() * 20_000) },
      cutBy: draw() < 0.5 ? "reset" : "end",
    }));
    const clients = await Promise.all(Array.from({ length: 4 }, () => openStubbornClient(proxy)));
    for (const client of clients) {
      const { id } = await client.submit("one", tokensBody({ tokens: 200, intervalMs: 3, audioBytes: 16 }));
      await client.finished(id);
      const log = await apiOf(server(), client.api().token).log(id);
      expectWhole(log, client.deliveries(id));
      expect(client.connections).toBeGreaterThan(1);
      proxy.plan({});
      await client[Symbol.asyncDispose]();
    }
  }));

test(
  "faults/R37 entries committed while the log is replayed: none lost, doubled or out of place, on any transport",
  () =>
    withSeed(async (random) => {
      await using owner = await connect(server());
      const api = apiOf(server(), owner.token);
      const { id } = await api.submit(tokensBody({ tokens: 3000, size: 8, audioBytes: 8 }));
      const url = `${server().url}/v1/jobs/${id}/events`;
      const seen: Delivery[] = [{ after: 0, events: [] }];
      const streams: Promise<{ after: number; seqs: number[] }>[] = [];
      // Each attach drops the cursor somewhere else, while hundreds of entries are committed between two of them.
      let reattached = 0;
      for (let ended = false; !ended;) {
        const { head, terminal } = await api.job(id);
        const after = Math.floor(random() * head);
        const from = owner.events(id).length;
        await owner.attach(id, after);
        reattached += 1;
        const follow = reattached % 3;
        if (follow === 1 && streams.length < 12) streams.push(readSse(url, owner.token, after));
        if (follow === 2 && streams.length < 12) streams.push(readNdjson(url, owner.token, after));
        seen.push({ after, events: [] });
        ended = terminal || from < 0;
      }
      await owner.waitForEnd(id);
      await owner.settle();
      const log = await api.log(id);
      expectWhole(log);
      expect(reattached).toBeGreaterThan(5);
      expect(checkDeliveries(log, splitAtAttach(owner, id))).toEqual([]);
      for (const { after, seqs } of await Promise.all(streams)) {
        expect(seqs).toEqual(Array.from({ length: log.length - after }, (_, n) => after + 1 + n));
      }
      expect(streams.length).toBeGreaterThan(4);
    }),
  60_000,
);

/** What came between one `attached` and the next, as a delivery of its own. */
function splitAtAttach(client: Awaited<ReturnType<typeof connect>>, job: string): Delivery[] {
  const deliveries: { after: number; events: ReturnType<typeof client.events> }[] = [
    { after: 0, events: [] },
  ];
  const events = client.events(job);
  let next = 0;
  for (const item of client.received) {
    if (item.kind === "json" && item.frame.type === "attached") {
      deliveries.push({ after: item.frame.after ?? 0, events: [] });
    } else if (item.kind === "binary" || item.frame.type === "event") {
      const event = events[next];
      next += 1;
      if (event !== undefined) deliveries.at(-1)?.events.push(event);
    }
  }
  return deliveries;
}

async function readSse(
  url: string,
  token: string,
  after: number,
): Promise<{ after: number; seqs: number[] }> {
  await using stream = await openSse(`${url}?after=${after}`, token);
  const blocks = await stream.rest(30_000);
  return { after, seqs: blocks.flatMap(({ id }) => (id === undefined ? [] : [Number(id)])) };
}

async function readNdjson(
  url: string,
  token: string,
  after: number,
): Promise<{ after: number; seqs: number[] }> {
  await using stream = await openNdjson(`${url}?after=${after}`, token);
  const entries = await stream.rest(30_000);
  return { after, seqs: entries.map(({ seq }) => seq) };
}
