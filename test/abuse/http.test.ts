/** Requests that no honest client would send, byte by byte, against a real server (docs/security.md, S24, S27, S28, S30, S31). */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type Api, expectProblem, newSession, tokensBody } from "../support/http.ts";
import { exchange, openTcp, rawRequest, readHead } from "../support/raw.ts";
import { sharedServer } from "../support/server.ts";
import { letTimePass, until } from "../support/wait.ts";
import type { JobBody } from "../support/wire.ts";
import { addressesOf } from "./routes.ts";

const server = sharedServer();
let api: Api;
beforeAll(async () => {
  api = await newSession(server());
});
// Whatever a stranger sends, it is the stranger's fault: no line of the log says that something of ours failed.
afterAll(() => {
  expect(
    server()
      .logs()
      .filter(({ level }) => level === "error"),
  ).toEqual([]);
});

const VALID = JSON.stringify(tokensBody());
const jobCount = async (): Promise<number> =>
  (await api.call<{ items: JobBody[] }>("GET", "/v1/jobs?limit=200")).body.items.length;

describe("S24 a body that is no JSON by its own word", () => {
  const types = [
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/javascript",
    "application/json-seq",
    "text/json",
    "application/jsonp",
    "application/json, text/plain",
    "text/plain; application/json",
    "application /json",
    "*/*",
  ];
  test.each(types)("S24 %s → 415, no job", async (type) => {
    const before = await jobCount();
    const answer = await api.call("POST", "/v1/jobs", { body: VALID, headers: { "content-type": type } });
    expectProblem(answer, 415, "unsupported_media_type");
    expect(await jobCount()).toBe(before);
  });
});

/** Sends a head and then blocks of a body until it is told to stop; what came back. */
async function pour(
  head: string,
  mebibytes: number,
  chunked: boolean,
): Promise<{ status: number; sent: number }> {
  const tcp = await openTcp(server().port);
  let received: Buffer = Buffer.alloc(0);
  let open = true;
  const closed = Promise.withResolvers<void>();
  tcp.on("data", (chunk: Buffer) => {
    received = Buffer.concat([received, chunk]);
  });
  tcp.on("error", () => undefined);
  tcp.on("close", () => {
    open = false;
    closed.resolve();
  });
  tcp.write(head);
  const block = Buffer.alloc(1 << 20, 0x20);
  let sent = 0;
  for (; sent < mebibytes && open && readHead(received) === null; sent += 1) {
    if (chunked) tcp.write("100000\r\n");
    const taken = tcp.write(block);
    if (chunked) tcp.write("\r\n");
    if (!taken) await Promise.race([new Promise((resolve) => tcp.once("drain", resolve)), closed.promise]);
  }
  const status = readHead(received)?.status ?? 0;
  tcp.destroy();
  return { status, sent };
}

async function residentBytes(): Promise<number> {
  const status = await Bun.file(`/proc/${server().pid}/status`).text();
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) * 1024;
}

const MIB = 1024 * 1024;

describe("S27 a body over the limit", () => {
  const head = (framing: string, path = "/v1/jobs", method = "POST"): string =>
    `${method} ${path} HTTP/1.1\r\nHost: 127.0.0.1:${server().port}\r\nAuthorization: Bearer ${api.token}\r\n` +
    `Content-Type: application/json\r\n${framing}\r\n\r\n`;
  const LENGTH = `Content-Length: ${300 * MIB}`;
  const bodies: [name: string, framing: string, chunked: boolean, status: number][] = [
    ["by its length", LENGTH, false, 413],
    ["in chunks", "Transfer-Encoding: chunked", true, 413],
    ["by its length said twice", `${LENGTH}\r\n${LENGTH}`, false, 400],
  ];
  test.each(bodies)(
    "S27 %s → refused long before it is there, and not held",
    async (_name, framing, chunked, status) => {
      const before = await residentBytes();
      const answer = await pour(head(framing), 300, chunked);
      // An answer to somebody who is still sending may be lost with the connection.
      expect([status, 0]).toContain(answer.status);
      expect(answer.sent).toBeLessThan(100);
      expect((await residentBytes()) - before).toBeLessThan(64 * MIB);
    },
  );

  test("S27 a little over the limit → 413 that names it, by length and in chunks", async () => {
    const large = VALID.padEnd(262_145, " ");
    const chunk = `${large.length.toString(16)}\r\n${large}\r\n0\r\n\r\n`;
    for (const raw of [
      head(`Content-Length: ${large.length}\r\nConnection: close`) + large,
      head("Transfer-Encoding: chunked\r\nConnection: close") + chunk,
    ]) {
      const answer = await exchange(server().port, raw);
      expect(answer?.status).toBe(413);
      expect(JSON.parse(answer?.body ?? "{}")).toMatchObject({
        code: "payload_too_large",
        limit: "bodyBytes",
      });
    }
  });

  const unread = [
    ["GET", "/healthz"],
    ["GET", "/v1/jobs"],
    ["POST", "/v1/sessions"],
    ["POST", "/nothing"],
  ] as const;
  test.each(unread)("S27 that nobody reads, to %s %s → is not held", async (method, path) => {
    const before = await residentBytes();
    await pour(head(LENGTH, path, method), 300, false);
    expect((await residentBytes()) - before).toBeLessThan(64 * MIB);
  });
});

describe("S28 header bombs", () => {
  const bombs: [name: string, headers: [string, string][], path: string][] = [
    ["one of 64 kB", [["X-A", "a".repeat(65_536)]], "/v1/jobs"],
    ["a cookie of 64 kB", [["Cookie", "a=b; ".repeat(13_000)]], "/v1/jobs"],
    ["2,000 of them", Array.from({ length: 2000 }, (_, n) => [`X-${n}`, "a"]), "/v1/jobs"],
    ["a path of 64 kB", [], `/${"a".repeat(65_536)}`],
    ["a query of 64 kB", [], `/v1/jobs?a=${"a".repeat(65_536)}`],
  ];
  test.each(bombs)("S28 %s → 431 and closed", async (_name, headers, path) => {
    const answer = await rawRequest(server().port, {
      path,
      headers: [...headers, ["Connection", "keep-alive"]],
    });
    expect(answer?.status).toBe(431);
    expect(answer?.headers.get("connection")).toBe("close");
    expect((await api.call("GET", "/v1/jobs")).status).toBe(200);
  });
});

const statusesIn = (text: string): number[] =>
  [...text.matchAll(/HTTP\/1\.1 (\d{3})/g)].map(([, status]) => Number(status));

/** Everything the server says to these bytes: until it closes, or says no more for a while after its first answer. */
async function conversation(bytes: string): Promise<{ statuses: number[]; closed: boolean }> {
  const tcp = await openTcp(server().port);
  let text = "";
  let isClosed = false;
  const closed = Promise.withResolvers<void>();
  tcp.on("data", (chunk: Buffer) => {
    text += chunk.toString("latin1");
  });
  tcp.on("error", () => undefined);
  tcp.on("close", () => {
    isClosed = true;
    closed.resolve();
  });
  tcp.write(Buffer.from(bytes, "latin1"));
  await until("an answer", () => isClosed || statusesIn(text).length > 0);
  // Nothing announces that no second answer comes.
  await Promise.race([closed.promise, letTimePass(150)]);
  tcp.destroy();
  return { statuses: statusesIn(text), closed: isClosed };
}

describe("S30 request smuggling", () => {
  // A server in front that reads the body differently would take this for the next visitor's request.
  const smuggled = () => `GET /v1/sessions/current HTTP/1.1\r\nHost: 127.0.0.1:${server().port}\r\n\r\n`;
  const withHead = (lines: readonly string[], body: string): string =>
    [
      "POST /v1/jobs HTTP/1.1",
      `Host: 127.0.0.1:${server().port}`,
      `Authorization: Bearer ${api.token}`,
      "Content-Type: application/json",
      ...lines,
      "",
      body,
    ].join("\r\n");
  const size = VALID.length.toString(16);
  const sets: [name: string, lines: string[], body: string][] = [
    ["TE and CL", ["Transfer-Encoding: chunked", "Content-Length: 4"], `${size}\r\n${VALID}\r\n0\r\n\r\n`],
    ["CL and TE", ["Content-Length: 4", "Transfer-Encoding: chunked"], `${size}\r\n${VALID}\r\n0\r\n\r\n`],
    ["CL 0 and TE", ["Content-Length: 0", "Transfer-Encoding: chunked"], "0\r\n\r\n"],
    ["two lengths", [`Content-Length: ${VALID.length}`, "Content-Length: 3"], VALID],
    ["two equal lengths", [`Content-Length: ${VALID.length}`, `Content-Length: ${VALID.length}`], VALID],
    ["a list of lengths", [`Content-Length: ${VALID.length}, ${VALID.length}`], VALID],
    ["a signed length", [`Content-Length: +${VALID.length}`], VALID],
    ["a negative length", ["Content-Length: -1"], VALID],
    ["a hexadecimal length", ["Content-Length: 0x10"], VALID],
    ["a length beyond all numbers", ["Content-Length: 18446744073709551700"], VALID],
    ["an empty length", ["Content-Length: "], VALID],
    ["TE of another name", ["Transfer-Encoding: xchunked"], "0\r\n\r\n"],
    ["TE twice", ["Transfer-Encoding: chunked", "Transfer-Encoding: identity"], "0\r\n\r\n"],
    ["TE with gzip", ["Transfer-Encoding: gzip, chunked"], "0\r\n\r\n"],
    ["TE with a space before its colon", ["Transfer-Encoding : chunked"], "0\r\n\r\n"],
    ["obs-fold", ["X-A: b", " Transfer-Encoding: chunked"], "0\r\n\r\n"],
    ["a bare LF", ["X-A: b\nTransfer-Encoding: chunked"], "0\r\n\r\n"],
    ["a bare CR", ["X-A: b\rTransfer-Encoding: chunked"], "0\r\n\r\n"],
    ["NUL in a header", ["X-A: b\0c", "Content-Length: 0"], ""],
    ["a line without a colon", ["garbage", "Content-Length: 0"], ""],
    ["a chunk size that is none", ["Transfer-Encoding: chunked"], "zz\r\n{}\r\n0\r\n\r\n"],
    ["a negative chunk size", ["Transfer-Encoding: chunked"], "-2\r\n{}\r\n0\r\n\r\n"],
    ["a chunk size with 0x", ["Transfer-Encoding: chunked"], "0x2\r\n{}\r\n0\r\n\r\n"],
    [
      "a chunk size beyond all numbers",
      ["Transfer-Encoding: chunked"],
      "fffffffffffffffff2\r\n{}\r\n0\r\n\r\n",
    ],
    ["a chunk that is longer than it says", ["Transfer-Encoding: chunked"], "2\r\n{}xx\r\n0\r\n\r\n"],
    ["a chunk size that ends in LF", ["Transfer-Encoding: chunked"], "2\n{}\r\n0\r\n\r\n"],
  ];
  test.each(sets)("S30 %s → 400 and closed, and what follows is no request", async (_name, lines, body) => {
    const before = await jobCount();
    const { statuses, closed } = await conversation(withHead(lines, body) + smuggled());
    expect({ statuses, closed }).toEqual({ statuses: [400], closed: true });
    expect(await jobCount()).toBe(before);
  });

  test("S30 a body that is refused unread is a body all the same: what it holds is no request", async () => {
    const inner = smuggled();
    for (const [path, status] of [
      ["/healthz", 405],
      ["/v1/types", 405],
      ["/nothing", 404],
      ["/v1/sessions/current/token", 401],
    ] as const) {
      const outer = `POST ${path} HTTP/1.1\r\nHost: 127.0.0.1:${server().port}\r\nContent-Length: ${inner.length}\r\n\r\n`;
      expect((await conversation(outer + inner)).statuses).toEqual([status]);
    }
  });

  test("S30 the same with one length → 202", async () => {
    const { statuses } = await conversation(withHead([`Content-Length: ${VALID.length}`], VALID));
    expect(statuses).toEqual([202]);
  });
});

describe("S31 requests that are out of order", () => {
  const raw = (line: string, ...headers: string[]): string =>
    `${[line, ...headers, `Authorization: Bearer ${api.token}`, "Connection: close"].join("\r\n")}\r\n\r\n`;
  const host = () => `Host: 127.0.0.1:${server().port}`;
  const hosts: [name: string, hosts: () => string[]][] = [
    ["no Host", () => []],
    ["an empty Host", () => ["Host: "]],
    ["two Hosts", () => [host(), "Host: evil.example"]],
    ["the same Host twice", () => [host(), host()]],
    ["a list of Hosts", () => [`${host()}, evil.example`]],
    ["a Host with a path", () => ["Host: 127.0.0.1/v1/types?"]],
    ["a Host with a user", () => ["Host: evil.example@127.0.0.1"]],
    ["a Host with a fragment", () => ["Host: 127.0.0.1#"]],
    ["a Host of spaces", () => ["Host: a b"]],
    ["a Host with a port that is none", () => ["Host: 127.0.0.1:port"]],
  ];
  test.each(hosts)("S31 %s → 400", async (_name, lines) => {
    const answer = await exchange(server().port, raw("GET /v1/jobs HTTP/1.1", ...lines()));
    expect(answer?.status).toBe(400);
  });

  test("S31 a target with another host in it is judged by its Host, as ever", async () => {
    const answer = await exchange(
      server().port,
      raw("GET http://127.0.0.1/v1/jobs HTTP/1.1", "Host: evil.example"),
    );
    expect(answer?.status).toBe(403);
  });

  test.each([
    "GET v1/jobs HTTP/1.1",
    "GET  /v1/jobs HTTP/1.1",
    "GET /v1/jobs",
    "GET /v1/jobs HTTP/9.9",
    "\u0016\u0003\u0001 / HTTP/1.1",
    "PRI * HTTP/2.0",
  ])("S31 %j → 4xx or 505, bare", async (line) => {
    const answer = await exchange(server().port, raw(line, host()));
    expect([400, 505]).toContain(answer?.status ?? 400);
    expect(answer?.body ?? "").toBe("");
  });

  test("S31 every method that an address does not have → 405 with Allow, problem+json; TRACE echoes nothing", async () => {
    const secret = ["Cookie", "secret=canary-of-S31"] as const;
    for (const { path } of await addressesOf(server())) {
      const methods = ["TRACE", "PUT", "PATCH", "OPTIONS", "CONNECT", "PROPFIND"];
      for (const method of path === "/" || path === "/nothing" ? [] : methods) {
        const answer = await rawRequest(server().port, { method, path, headers: [secret] });
        const good = method === "OPTIONS" ? [204] : [405];
        expect({ method, path, status: answer?.status }).toEqual({ method, path, status: good[0] });
        expect(answer?.body ?? "").not.toContain("canary-of-S31");
        if (method === "OPTIONS") continue;
        expect(answer?.headers.get("allow")).toMatch(/^[A-Z]+(, [A-Z]+)*$/);
        expect(answer?.headers.get("content-type")).toBe("application/problem+json");
      }
    }
  });

  const unheard: [name: string, method: string][] = [
    ["BREW", "BREW"],
    ["get in lower case", "get"],
    ["5,000 letters", "A".repeat(5000)],
  ];
  test.each(unheard)("S31 a method of %s → refused or closed, never 500", async (_name, method) => {
    const answer = await rawRequest(server().port, { method, path: "/v1/jobs", headers: [] });
    expect([400, 405, 431]).toContain(answer?.status ?? 400);
  });
});
