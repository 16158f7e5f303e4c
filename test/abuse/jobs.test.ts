/** Jobs in bad hands: upstreams that lie or never stop, runs that go on after their end (docs/security.md, S42, S46). */
import { gzipSync } from "node:zlib";
import { afterAll, describe, expect, test } from "bun:test";
import { call, newSession, tokensBody } from "../support/http.ts";
import { sharedServer, startServer, type TestServer } from "../support/server.ts";
import { until } from "../support/wait.ts";
import type { JobBody } from "../support/wire.ts";
import { delta, DONE, event, serveUpstream, streamOf } from "../handlers/chat-upstream-server.ts";

const MIB = 1024 * 1024;
const KEY = "sk-canary-of-the-upstream";

/** What the upstream of chat and speech answers next. */
let answer: () => Response = () => new Response();
const upstream = serveUpstream(() => answer());
const server = sharedServer({
  env: {
    HOLDLINE_CHAT_URL: upstream.url,
    HOLDLINE_CHAT_KEY: KEY,
    HOLDLINE_SPEECH_URL: upstream.url,
    HOLDLINE_JOB_BYTES: String(4 * MIB),
    HOLDLINE_LOG: "debug",
  },
});

/** Below HTTP: what comes from this one is sent as it stands. */
let bytes = "";
const rawUpstream = Bun.listen({
  hostname: "127.0.0.1",
  port: 0,
  socket: {
    data(socket) {
      socket.write(bytes);
    },
  },
});
const rawServer = sharedServer({ env: { HOLDLINE_CHAT_URL: `http://127.0.0.1:${rawUpstream.port}/v1` } });

afterAll(() => {
  upstream[Symbol.dispose]();
  rawUpstream.stop(true);
});

const CHAT = { type: "chat", input: { messages: [{ role: "user", content: "hi" }] }, maxAttempts: 1 };
const SPEECH = { type: "speech", input: { text: "Hi.", format: "mp3" }, maxAttempts: 1 };

async function residentBytes({ pid }: TestServer): Promise<number> {
  const status = await Bun.file(`/proc/${pid}/status`).text();
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) * 1024;
}

/** What became of the job, when the server answered everybody else meanwhile and kept its size. */
async function endOf(target: TestServer, body: unknown): Promise<JobBody> {
  const api = await newSession(target);
  const before = await residentBytes(target);
  const { id } = await api.submit(body);
  let most = before;
  const job = await until(
    "the job to end",
    async () => {
      expect((await call("GET", `${target.url}/healthz`)).status).toBe(200);
      most = Math.max(most, await residentBytes(target));
      const now = await api.job(id);
      return now.terminal && now;
    },
    20_000,
  );
  expect(most - before).toBeLessThan(200 * MIB);
  expect(target.exit()).toBeNull();
  for (const text of [JSON.stringify(job), target.output()]) expect(text).not.toContain(KEY);
  return job;
}

/** The same block again and again, a gigabyte of it; how much was taken. */
function gigabyte(block: string, type: string): { answer: () => Response; taken: () => number } {
  const mebibyte = new TextEncoder().encode(block.repeat(Math.ceil(MIB / block.length)));
  let taken = 0;
  const respond = (): Response => {
    const stream = new ReadableStream<Uint8Array>({
      pull(controller) {
        taken += mebibyte.byteLength;
        if (taken > 1024 * MIB) controller.close();
        else controller.enqueue(mebibyte);
      },
    });
    return new Response(stream, { headers: { "content-type": type } });
  };
  return { answer: respond, taken: () => taken };
}

describe("S42 an upstream that never stops", () => {
  const floods: [name: string, block: string, type: string, body: unknown, code: string][] = [
    ["1 GB of JSON", " ", "application/json", CHAT, "upstream_error"],
    ["1 GB in one line of a stream", "a", "text/event-stream", CHAT, "upstream_error"],
    [
      "1 GB of comments",
      ": nothing\n\n",
      "text/event-stream",
      { ...CHAT, firstOutputMs: 1500 },
      "first_output_timeout",
    ],
    ["1 GB of text", delta("word ".repeat(200)), "text/event-stream", CHAT, "output_too_large"],
    ["1 GB of sound", "\u0001", "audio/mpeg", SPEECH, "output_too_large"],
  ];
  test.each(floods)("S42 %s → capped, and the job fails", async (_name, block, type, body, code) => {
    const flood = gigabyte(block, type);
    ({ answer } = flood);
    const job = await endOf(server(), body);
    expect(job).toMatchObject({ status: "failed", error: { code } });
    if (code !== "first_output_timeout") expect(flood.taken()).toBeLessThan(512 * MIB);
  });

  test("S42 a bomb of compression → capped, and the job fails", async () => {
    const bomb = gzipSync(Buffer.alloc(256 * MIB, 0x20), { level: 1 });
    answer = () =>
      new Response(new Uint8Array(bomb), {
        headers: { "content-type": "application/json", "content-encoding": "gzip" },
      });
    const job = await endOf(server(), CHAT);
    expect(job).toMatchObject({ status: "failed", error: { code: "upstream_error", origin: "upstream" } });
  });

  test("S42 one that drips → ends at the job's own deadlines", async () => {
    async function* drops(first: string, drop: string) {
      if (first !== "") yield new TextEncoder().encode(first);
      for (;;) {
        await Bun.sleep(20);
        yield new TextEncoder().encode(drop);
      }
    }
    const drips: [first: string, drop: string, limits: object, code: string][] = [
      ["", "d", { firstOutputMs: 300 }, "first_output_timeout"],
      ["", ": still here\n\n", { firstOutputMs: 300 }, "first_output_timeout"],
      ["", event({ choices: [{ delta: { content: "" } }] }), { firstOutputMs: 300 }, "first_output_timeout"],
      [delta("Hello"), ":", { idleMs: 300 }, "idle_timeout"],
      ["", delta("a"), { timeoutMs: 800 }, "timeout"],
    ];
    for (const [first, drop, limits, code] of drips) {
      answer = () =>
        new Response(drops(first, drop) as never, { headers: { "content-type": "text/event-stream" } });
      const job = await endOf(server(), { ...CHAT, ...limits });
      expect({ drop, code: job.error?.code }).toEqual({ drop, code });
    }
  });
});

describe("S42 an upstream that lies", () => {
  const good = JSON.stringify({ choices: [{ message: { content: "hi" } }] });
  const lies: [name: string, answer: () => Response][] = [
    ["a page for an answer", () => new Response("<html>", { headers: { "content-type": "text/html" } })],
    ["a picture for an answer", () => new Response(good, { headers: { "content-type": "image/png" } })],
    ["a page called JSON", () => new Response("<html>", { headers: { "content-type": "application/json" } })],
    [
      "a page called a stream",
      () => new Response("<html>", { headers: { "content-type": "text/event-stream" } }),
    ],
    ["JSON called a stream", () => new Response(good, { headers: { "content-type": "text/event-stream" } })],
    [
      "JSON a million levels deep",
      () => new Response("[".repeat(1_000_000), { headers: { "content-type": "application/json" } }),
    ],
    ["an error of 200", () => Response.json({ error: { message: KEY } })],
    ["choices of another kind", () => Response.json({ choices: { length: 1e9 } })],
    [
      "a prototype for an answer",
      () => new Response('{"__proto__":{"choices":[]}}', { headers: { "content-type": "application/json" } }),
    ],
    [
      "gzip that is none",
      () =>
        new Response(good, { headers: { "content-type": "application/json", "content-encoding": "gzip" } }),
    ],
    ["a stream without its end", () => streamOf([delta("half of")])],
    [
      "an error in the stream, with the key in it",
      () => streamOf([delta("half of"), event({ error: { message: KEY } })]),
    ],
    ["500 with the key in it", () => new Response(`you sent ${KEY}`, { status: 500 })],
    [
      "401 with the key in it",
      () => Response.json({ error: `Incorrect API key provided: ${KEY}` }, { status: 401 }),
    ],
    ["204", () => new Response(null, { status: 204 })],
  ];

  test("S42 whatever it is, the job fails as upstream, without a word of what it said", async () => {
    const askedBefore = upstream.asked.length;
    for (const [name, lie] of lies) {
      answer = lie;
      const { status, error } = await endOf(server(), CHAT);
      expect({ name, status, origin: error?.origin }).toEqual({ name, status: "failed", origin: "upstream" });
      expect(error?.code).toMatch(/^upstream_(?:error|refused)$/);
      expect(error?.message).not.toMatch(/html|http:|127\.0\.0\.1|api key/i);
    }
    // The operator's one address is trusted, not where it points to.
    expect(upstream.asked.length - askedBefore).toBe(lies.length);
  });

  test("S42 one that sends the server elsewhere → it does not go there, and the key stays here", async () => {
    using trap = serveUpstream(() => streamOf([delta("trapped", "stop"), DONE]));
    for (const status of [301, 302, 303, 307, 308]) {
      answer = () => new Response(null, { status, headers: { location: `${trap.url}chat/completions` } });
      expect((await endOf(server(), CHAT)).error).toMatchObject({ origin: "upstream" });
    }
    expect(trap.asked).toEqual([]);
  });

  const broken: [name: string, bytes: string][] = [
    ["no HTTP", "220 smtp.example ESMTP\r\n"],
    ["a header of 2 MB", `HTTP/1.1 200 OK\r\nX-A: ${"a".repeat(2 * MIB)}\r\n\r\n`],
    [
      "a length that is a lie",
      `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99999\r\n\r\n${good}`,
    ],
    [
      "two lengths",
      `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 3\r\nContent-Length: 9\r\n\r\n${good}`,
    ],
    [
      "chunks that are none",
      "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
  ];
  test.each(broken)(
    "S42 below HTTP: %s → the job fails as upstream or at its deadline",
    async (_name, sent) => {
      bytes = sent;
      const job = await endOf(rawServer(), { ...CHAT, firstOutputMs: 500 });
      expect(job.status).toBe("failed");
      expect(job.error?.code).toMatch(/^(?:upstream_error|first_output_timeout)$/);
    },
  );

  test("S42 one that asks for a wait of thirty years → an hour at most", async () => {
    answer = () => new Response("busy", { status: 429, headers: { "retry-after": "999999999" } });
    const api = await newSession(server());
    const { id } = await api.submit({ ...CHAT, maxAttempts: 3 });
    await api.inStatus(id, "retrying");
    const retrying = (await api.log(id)).find(({ kind }) => kind === "job.retrying");
    expect(retrying?.data.delayMs).toBeWithin(1, 3_600_001);
    await api.cancel(id);
  });
});

describe("S46 output where there should be none", () => {
  test("S46 after the terminal event: an upstream that goes on is cut off, and nothing of it is kept", async () => {
    let gone = false;
    function* endless() {
      for (;;) yield delta("more and more ");
    }
    answer = () =>
      streamOf(endless(), {
        onCancel: () => {
          gone = true;
        },
      });
    const api = await newSession(server());
    const { id } = await api.submit(CHAT);
    await api.inStatus(id, "running");
    await api.cancel(id);
    await api.finished(id);
    await until("the upstream to be let go", () => gone);
    const log = await api.log(id);
    expect(log.at(-1)).toMatchObject({ kind: "job.canceled", terminal: true });
    expect(log.filter(({ terminal }) => terminal === true)).toHaveLength(1);
    expect(log.map(({ seq }) => seq)).toEqual(log.map((_event, index) => index + 1));
  });

  test("S46 more of it than a log may hold → output_too_large, and the log ends there", async () => {
    await using small = await startServer({ env: { HOLDLINE_JOB_BYTES: "65536" } });
    const api = await newSession(small);
    const { id } = await api.submit(
      tokensBody({ tokens: 1000, size: 4096, audioBytes: 4096 }, { maxAttempts: 1 }),
    );
    const job = await api.finished(id);
    expect(job).toMatchObject({ status: "failed", error: { code: "output_too_large" } });
    const log = await api.log(id);
    expect(log).toHaveLength(job.head);
    expect(log.at(-1)).toMatchObject({ kind: "job.failed", terminal: true });
    expect(JSON.stringify(log).length).toBeLessThan(4 * 65_536);
  });
});
