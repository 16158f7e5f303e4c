/** Behind real proxies with the configurations of examples/proxies: what a client is promised holds there as well. */
import { describe, expect, test } from "bun:test";
import { request } from "node:http";
import { connect } from "../support/client.ts";
import { apiOf, expectProblem, newSession, tokensBody } from "../support/http.ts";
import { sharedServer, startServer } from "../support/server.ts";
import { openNdjson, openSse } from "../support/streams.ts";
import { letTimePass, until } from "../support/wait.ts";
import { issueToken } from "../support/operator.ts";
import { handWorker, textItem } from "../support/worker.ts";
import { exampleOf, KINDS, startProxy, type Kind, type Proxy } from "./proxy-process.ts";

const RATE = 30;
const server = sharedServer({
  env: {
    HOLDLINE_TRUSTED_PROXIES: "127.0.0.1",
    HOLDLINE_TOKENS: "on",
    HOLDLINE_WORKER_TYPES: "render",
  },
});
const limited = sharedServer({
  env: { HOLDLINE_TRUSTED_PROXIES: "127.0.0.1", HOLDLINE_RATE_PER_MINUTE: String(RATE) },
});
const hasty = sharedServer({ env: { HOLDLINE_PING_MS: "1000", HOLDLINE_TRUSTED_PROXIES: "127.0.0.1" } });

const inFrontOf = (kind: Kind, port: number, quietSeconds?: number): Promise<Proxy> =>
  startProxy(kind, { nodes: [port, port], ...(quietSeconds === undefined ? {} : { quietSeconds }) });

/** Opens a session as somebody at that address of the loopback, who claims to be elsewhere. */
function openSessionFrom(port: number, localAddress: string): Promise<number> {
  const answered = Promise.withResolvers<number>();
  const call = request(
    {
      port,
      host: "127.0.0.1",
      localAddress,
      method: "POST",
      path: "/v1/sessions",
      headers: { "X-Forwarded-For": `198.51.100.${Math.floor(Math.random() * 250)}` },
      agent: false,
    },
    (response) => {
      response.resume();
      response.on("end", () => answered.resolve(response.statusCode ?? 0));
    },
  );
  call.on("error", answered.reject);
  call.end();
  return answered.promise;
}

describe.each(KINDS.map((kind) => [kind.name, kind] as const))("behind %s", (_name, kind) => {
  test("a socket, a job over HTTP, text and sound", async () => {
    await using proxy = await inFrontOf(kind, server().port);
    await using client = await connect(proxy);
    const api = apiOf(proxy, client.token);
    const { id } = await api.submit(tokensBody({ tokens: 50, size: 100, audioBytes: 2000 }));
    await client.waitForEnd(id);
    const events = client.events(id);
    expect(events.filter(({ kind: one }) => one === "output.audio").map(({ seq }) => seq)).toHaveLength(50);
    expect(events.at(-1)).toMatchObject({ kind: "job.succeeded", terminal: true });
  });

  test("streams over HTTP come as they are written, not when they are over", async () => {
    await using proxy = await inFrontOf(kind, server().port);
    const user = await newSession(proxy);
    const { id } = await user.submit(tokensBody({ tokens: 100_000, size: 10, intervalMs: 20 }));
    await using sse = await openSse(`${proxy.url}/v1/jobs/${id}/events`, user.token);
    await using lines = await openNdjson(`${proxy.url}/v1/jobs/${id}/events`, user.token);
    for (let heard = 0; heard < 20; heard += 1) {
      expect(await sse.next()).not.toBeNull();
      expect(await lines.next()).not.toBeNull();
    }
    const { status } = await user.job(id);
    expect(status).toBe("running");
    await user.cancel(id);
  });

  test("what a worker writes into an open body is stored line by line", async () => {
    await using proxy = await inFrontOf(kind, server().port);
    const user = await newSession(proxy);
    const { token } = await issueToken(server(), "worker");
    const worker = handWorker(proxy, token);
    const { id } = await user.submit({ type: "render", input: {} });
    const run = await worker.take();
    const body = run.stream();
    for (const text of ["one ", "two "]) {
      body.line(textItem(text));
      await until(`"${text}" to be stored`, async () => (await user.output(id)).text.endsWith(text));
    }
    body.end();
    const { status } = await body.answer;
    expect(status).toBe(200);
    await run.complete({});
    const ended = await user.finished(id);
    expect(ended.status).toBe("succeeded");
  });

  test("a body that is too large is refused by the server itself, with its code", async () => {
    await using proxy = await inFrontOf(kind, server().port);
    const user = await newSession(proxy);
    const answer = await user.post(tokensBody({}, { metadata: { note: "x".repeat(2_000_000) } }));
    expectProblem(answer, 413, "payload_too_large");
  });

  test("an address is the client's own, whatever the client claims", async () => {
    await using proxy = await inFrontOf(kind, limited().port);
    const seen = new Set<number>();
    // Each kind has addresses of its own: the server is the same for all.
    const at = (host: number): string => `127.0.${KINDS.indexOf(kind) + 1}.${host}`;
    for (let sent = 0; sent < RATE + 5; sent += 1) seen.add(await openSessionFrom(proxy.port, at(2)));
    expect(seen).toEqual(new Set([201, 429]));
    const other = await openSessionFrom(proxy.port, at(3));
    expect(other).toBe(201);
  });

  test("a quiet socket is held by the pings, though the proxy ends what is silent", async () => {
    const quietSeconds = 2;
    await using proxy = await inFrontOf(kind, hasty().port, quietSeconds);
    await using client = await connect(proxy);
    const began = performance.now();
    await until("three pings", () => client.frames("ping").length >= 3);
    await letTimePass(Math.max(quietSeconds * 2000 - (performance.now() - began), 0));
    expect(client.closed).toBeNull();
  });

  test("the time-outs of the example are longer than ping, pong and the longest wait", async () => {
    const text = await exampleOf(kind);
    const limits = [
      ...text.matchAll(/^\s*(?:timeout (?:client|server|tunnel)|proxy_(?:read|send)_timeout) (\d+)s/gm),
    ];
    // Caddy has none unless it is told.
    expect(limits.length).toBe({ nginx: 2, haproxy: 3, caddy: 0 }[kind.name]);
    for (const [, seconds] of limits) expect(Number(seconds)).toBeGreaterThan(60 + 35);
  });
});

test("a proxy whose time-out is shorter than the ping does end the socket", async () => {
  await using slow = await startServer({ env: { HOLDLINE_PING_MS: "20000" } });
  const [nginx] = KINDS;
  if (nginx === undefined) throw new Error("no proxy");
  await using proxy = await inFrontOf(nginx, slow.port, 1);
  await using client = await connect(proxy);
  const closed = await client.waitForClose();
  expect(closed.code).toBe(1006);
});
