/** Packed bodies, keys, parameters and ids that are not what they should be, against a real server (docs/security.md, S33 to S35, S48). */
import { gzipSync } from "node:zlib";
import { beforeAll, describe, expect, test } from "bun:test";
import { type Api, expectProblem, newSession, tokensBody } from "../support/http.ts";
import { rawRequest } from "../support/raw.ts";
import { sharedServer } from "../support/server.ts";
import type { ProblemBody } from "../support/wire.ts";

const server = sharedServer();
let api: Api;
beforeAll(async () => {
  api = await newSession(server());
});

const VALID = JSON.stringify(tokensBody());
const JSON_TYPE = { "content-type": "application/json" };

describe("S33 a body that is packed", () => {
  test.each(["gzip", "deflate", "br", "zstd", "identity", "gzip, gzip", "none"])(
    "S33 %s → 415",
    async (encoding) => {
      for (const body of [VALID, gzipSync(Buffer.alloc(100_000))]) {
        const answer = await api.call("POST", "/v1/jobs", {
          body,
          headers: { ...JSON_TYPE, "content-encoding": encoding },
        });
        expectProblem(answer, 415, "unsupported_media_type");
      }
    },
  );
});

describe("S34 idempotency keys", () => {
  const post = (key: string, body: unknown = tokensBody()) => api.post(body, { "idempotency-key": key });

  test.each(['""', '"half', '"a"b"', "caf\u00e9", "a\tb", "k".repeat(256), `"${"k".repeat(256)}"`])(
    "S34 %j is none → 400 invalid_idempotency_key",
    async (key) => {
      const answer = await post(key);
      expectProblem(answer, 400, "invalid_idempotency_key");
    },
  );

  test("S34 used again with another body → 422, and nothing of the first one is told", async () => {
    const first = await post("again", tokensBody({}, { metadata: { secret: "needle" } }));
    expect(first.status).toBe(202);
    const second = await post("again", tokensBody({ tokens: 4 }));
    expectProblem(second, 422, "idempotency_key_reused");
    for (const trace of ["needle", first.body.id]) expect(second.text).not.toContain(trace);
  });

  test("S34 of another user → another job; the first one is neither found nor shown", async () => {
    const mine = await post("shared");
    const stranger = await newSession(server());
    const theirs = await stranger.post(tokensBody(), { "idempotency-key": "shared" });
    expect(theirs.status).toBe(202);
    expect(theirs.headers.get("idempotent-replayed")).toBeNull();
    expect(theirs.body.id).not.toBe(mine.body.id);
  });

  test("S34 of a body that was refused → is not remembered", async () => {
    expectProblem(await post("refused", { type: "none", input: {} }), 422, "unknown_type");
    expect((await post("refused")).status).toBe(202);
  });
});

describe("S35 parameters", () => {
  const queries = [
    ...["1e9", "-1", "0", "201", "1.5", "0x10", " 5", "5 ", "", "NaN", "\u0663", "9".repeat(400)].map(
      (value) => `/v1/jobs?limit=${encodeURIComponent(value)}`,
    ),
    "/v1/jobs?status=all",
    "/v1/jobs?status=succeeded%27",
  ];
  test.each(queries)("S35 %s → 400 with its pointer", async (path) => {
    const answer = await api.call("GET", path);
    expectProblem(answer, 400, "invalid_request");
    expect(answer.body.errors).toHaveLength(1);
  });

  test("S35 a parameter that is given twice → the first one counts", async () => {
    const answer = await api.call<{ items: unknown[] }>("GET", "/v1/jobs?limit=1&limit=1000000000");
    expect(answer).toMatchObject({ status: 200 });
    expect(answer.body.items.length).toBeLessThan(2);
  });

  test("S35 a cursor that was tampered with → 400 invalid_cursor", async () => {
    await api.submit(tokensBody());
    await api.submit(tokensBody());
    const page = await api.call<{ next: string }>("GET", "/v1/jobs?limit=1");
    const cursor = page.body.next;
    const bytes = Uint8Array.fromBase64(cursor, { alphabet: "base64url" });
    const spoiled = [
      "x",
      `${cursor}A`,
      cursor.slice(1),
      cursor.toUpperCase(),
      btoa("1 OR 1=1"),
      Bun.randomUUIDv7(),
      "A".repeat(4000),
      "%00",
      ...Array.from(bytes, (byte, at) => bytes.with(at, byte ^ 1).toBase64({ alphabet: "base64url" })),
    ];
    for (const text of spoiled) {
      expectProblem(
        await api.call("GET", `/v1/jobs?cursor=${encodeURIComponent(text)}`),
        400,
        "invalid_cursor",
      );
    }
    expect((await api.call("GET", `/v1/jobs?limit=1&cursor=${cursor}`)).status).toBe(200);
  });
});

describe("S48 ids that are paths", () => {
  const ids = [
    "..",
    "../types",
    "..%2ftypes",
    "%2e%2e%2ftypes",
    "%2e%2e",
    "..\\types",
    "%252e%252e%252f",
    "%00",
    "%c0%ae%c0%ae",
    "%ff",
    "current",
    "%0d%0aSet-Cookie:a=b",
    "01890a5d-ac96-774b-bcce-b302099a8057%00",
    "01890A5D-AC96-774B-BCCE-B302099A8057",
    "{01890a5d-ac96-774b-bcce-b302099a8057}",
    "*",
  ];
  test.each(ids)("S48 %s → 404, not another address", async (id) => {
    for (const path of [`/v1/jobs/${id}/output`, `/v1/jobs/${id}/events`, `/v1/sessions/x/${id}`]) {
      const headers = [["Authorization", `Bearer ${api.token}`]] as const;
      const answer = await rawRequest(server().port, { path, headers });
      expect({ path, status: answer?.status }).toEqual({ path, status: 404 });
      expect((JSON.parse(answer?.body ?? "{}") as ProblemBody).code).toBe("not_found");
      expect(answer?.headers.get("set-cookie")).toBeUndefined();
    }
  });

  test.each([
    "/../../../../etc/passwd",
    "/..%2f..%2f..%2fetc%2fpasswd",
    "/%2e%2e/package.json",
    "/.git/config",
    "//etc/passwd",
    "/C:\\",
    "/docs/../../../etc/passwd",
  ])("S48 %s → 404, no file", async (path) => {
    const answer = await rawRequest(server().port, { path });
    expect(answer?.status).toBe(404);
  });
});
