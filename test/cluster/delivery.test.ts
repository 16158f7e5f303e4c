/**
 * Three real nodes of three roles: sockets at one, the HTTP API at another, runs at the third. Whoever talks to them
 * cannot tell that they are not one.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { connect, type Client } from "../support/client.ts";
import { startCluster, type Cluster } from "../support/cluster.ts";
import { apiOf, lastingBody, tokensBody, type Api } from "../support/http.ts";
import type { TestServer } from "../support/server.ts";
import { openNdjson } from "../support/streams.ts";
import { valueOf } from "../telemetry/scrape.ts";
import { letTimePass, until, within } from "../support/wait.ts";

/** Well under the two seconds after which a hint that was lost is made good for. */
const HINTED_MS = 5000;

let cluster: Cluster;
let gateway: TestServer;
let elsewhere: TestServer;
let api: TestServer;
let worker: TestServer;

beforeAll(async () => {
  cluster = await startCluster();
  [gateway, api, worker] = [
    await cluster.start({ env: { HOLDLINE_ROLE: "gateway" } }),
    await cluster.start({ env: { HOLDLINE_ROLE: "api" } }),
    await cluster.start({ env: { HOLDLINE_ROLE: "worker" } }),
  ];
  elsewhere = await cluster.start({ env: { HOLDLINE_ROLE: "gateway" } });
}, 60_000);
afterAll(() => cluster[Symbol.asyncDispose]());

/** A session at the gateway, and its calls at the node of the API. */
async function visitor(name: string): Promise<{ client: Client; http: Api } & AsyncDisposable> {
  const client = await connect(gateway, { token: cluster.userToken(name) });
  return {
    client,
    http: apiOf(api, client.token),
    [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
  };
}

test("a job is accepted at one node, run at another, and heard at a third, in time and once", async () => {
  await using ann = await visitor("ann");
  const { client, http } = ann;
  const started = performance.now();
  // One after the other: each would wait for the next look of the node that runs it, and of the one that sends it.
  for (let n = 0; n < 8; n += 1) await client.waitForEnd((await http.submit(tokensBody())).id);
  expect(performance.now() - started).toBeLessThan(HINTED_MS);
  const { id } = await http.submit(tokensBody({ tokens: 50, intervalMs: 1 }));
  await client.waitForEnd(id);
  const covered = client.events(id).flatMap(({ first, seq }) => [first ?? seq, seq]);
  expect(covered[0]).toBe(1);
  for (let n = 2; n < covered.length; n += 2) expect(covered[n]).toBe((covered[n - 1] ?? 0) + 1);
  expect(covered.at(-1)).toBe((await http.job(id)).head);
  // Nobody asked for it: it came by itself.
  expect(client.frames("attached")).toEqual([]);
  const receipt = { type: "ack", job: id, seq: covered.at(-1) ?? 0 };
  expect(await client.ask(receipt)).toMatchObject({ type: "ok" });
  expect((await http.job(id)).deliveredAt).toBeString();
}, 30_000);

test("who follows or waits over HTTP is answered as soon as the run at another node has ended", async () => {
  await using ben = await visitor("ben");
  const { http } = ben;
  const started = performance.now();
  const answer = await http.post(tokensBody({ tokens: 20, intervalMs: 5 }), { Prefer: "wait=20" });
  expect([answer.status, answer.body.status]).toEqual([200, "succeeded"]);
  const { id } = await http.submit(tokensBody({ tokens: 20, intervalMs: 5 }));
  await using stream = await openNdjson(`${api.url}/v1/jobs/${id}/events`, http.token);
  const events = await stream.rest();
  expect(events.map(({ seq }) => seq)).toEqual(events.map((_event, index) => index + 1));
  expect(events.at(-1)?.kind).toBe("job.succeeded");
  expect(performance.now() - started).toBeLessThan(2 * HINTED_MS);
}, 30_000);

test("a cancel that is asked for at one node stops the run at another", async () => {
  await using cem = await visitor("cem");
  const { client, http } = cem;
  const { id } = await http.submit(lastingBody());
  await client.waitForEvent(id, "the first words", ({ kind }) => kind === "output.text");
  const started = performance.now();
  await http.cancel(id);
  expect((await client.waitForEnd(id)).kind).toBe("job.canceled");
  expect(performance.now() - started).toBeLessThan(HINTED_MS);
}, 30_000);

test("a lane gives way though its jobs run elsewhere", async () => {
  await using dee = await visitor("dee");
  const { client, http } = dee;
  const first = await http.submit(lastingBody({ lane: "voice" }));
  await client.waitForEvent(first.id, "the first words", ({ kind }) => kind === "output.text");
  const second = await http.submit(tokensBody({}, { lane: "voice" }));
  expect((await client.waitForEnd(first.id)).data).toMatchObject({ reason: "lane" });
  expect((await client.waitForEnd(second.id)).kind).toBe("job.succeeded");
}, 30_000);

test("a log-out at one node closes the socket at another, and a resume elsewhere replaces it", async () => {
  const { client, http } = await visitor("eva");
  const moved = await connect(elsewhere, { token: client.token });
  expect(await within("the older socket to be replaced", client.waitForClose())).toMatchObject({
    code: 4503,
  });
  const { status } = await http.call("DELETE", "/v1/sessions/current");
  expect(status).toBe(204);
  expect(await moved.waitForClose()).toMatchObject({ code: 4502 });
}, 30_000);

test("a job whose socket is at another node is canceled when that is gone, once", async () => {
  const { client, http } = await visitor("fay");
  const body = lastingBody({ onDisconnect: "cancel", orphanMs: 500 });
  const { id } = await http.submit(body);
  await client.waitForEvent(id, "the first words", ({ kind }) => kind === "output.text");
  // Longer than the job would be left alone: its session has a socket, though none where it runs.
  await letTimePass(1500);
  expect((await http.job(id)).status).toBe("running");
  await client.close();
  const later = apiOf(api, cluster.userToken("fay"));
  const job = await later.finished(id);
  expect(job.status).toBe("canceled");
  const ends = (await later.log(id)).filter(
    ({ kind }) => kind === "job.canceling" || kind === "job.canceled",
  );
  expect(ends.map(({ kind, data }) => [kind, data])).toEqual([
    ["job.canceling", { reason: "disconnected" }],
    ["job.canceled", { reason: "disconnected" }],
  ]);
  expect(worker.exit()).toBeNull();
}, 30_000);

test("a node at which nobody reads a log is not told of its entries", async () => {
  await using gus = await visitor("gus");
  const { client, http } = gus;
  const heardElsewhere = async (): Promise<number> => {
    const { text } = await cluster.adminAt(api).call("GET", "/metrics");
    return valueOf(text, "holdline_backplane_received_total");
  };
  const tokens = 60;
  // Nodes that have just started tell all of them everything, for a while.
  await until("entries to be told to none but their readers", async () => {
    const before = await heardElsewhere();
    const { id } = await http.submit(tokensBody({ tokens, intervalMs: 10 }));
    await client.waitForEnd(id);
    expect(client.events(id).at(-1)?.seq).toBeGreaterThan(tokens / 2);
    return (await heardElsewhere()) - before < tokens / 4;
  });
}, 30_000);
