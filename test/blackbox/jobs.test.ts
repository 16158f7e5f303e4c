/** Reading jobs: one, waiting for one, and the list (PROTOCOL section 3). */
import { beforeAll, describe, expect, test } from "bun:test";
import { type Api, expectProblem, lastingBody, newSession, tokensBody } from "../support/http.ts";
import { sharedServer } from "../support/server.ts";
import type { JobBody } from "../support/wire.ts";
import { until } from "../support/wait.ts";

const server = sharedServer();

interface List {
  items: JobBody[];
  next: string | null;
}

describe("GET /v1/jobs/{id}", () => {
  test("has an ETag that stands for the present state, and Retry-After until the end", async () => {
    const api = await newSession(server());
    const { id } = await api.submit(lastingBody());
    // Its first token comes when it starts, the next one much later.
    const running = await until("its first token", async () => {
      const answer = await api.call<JobBody>("GET", `/v1/jobs/${id}`);
      return answer.body.head === 3 && answer;
    });
    const etag = running.headers.get("etag") ?? "";
    expect(etag).toMatch(/^(W\/)?"[^"]+"$/);
    expect(running.headers.get("retry-after")).toMatch(/^\d+$/);
    const unchanged = await api.call("GET", `/v1/jobs/${id}`, { headers: { "if-none-match": etag } });
    expect({ status: unchanged.status, text: unchanged.text }).toEqual({ status: 304, text: "" });
    await api.cancel(id);
    await api.finished(id);
    const ended = await api.call<JobBody>("GET", `/v1/jobs/${id}`, { headers: { "if-none-match": etag } });
    expect(ended.status).toBe(200);
    expect(ended.headers.get("etag")).not.toBe(etag);
    expect(ended.headers.get("retry-after")).toBeNull();
  });

  test("?waitMs waits for the end and no longer", async () => {
    const api = await newSession(server());
    const { id } = await api.submit(tokensBody({ tokens: 4, intervalMs: 100 }));
    const startedMs = performance.now();
    const { body } = await api.call<JobBody>("GET", `/v1/jobs/${id}?waitMs=20000`);
    expect(body).toMatchObject({ id, terminal: true, status: "succeeded" });
    expect(performance.now() - startedMs).toBeLessThan(10_000);
  });

  test("?waitMs gives the unfinished job when its time is over", async () => {
    const api = await newSession(server());
    const { id } = await api.submit(lastingBody());
    const startedMs = performance.now();
    const { status, body } = await api.call<JobBody>("GET", `/v1/jobs/${id}?waitMs=300`);
    expect(status).toBe(200);
    expect(body).toMatchObject({ id, terminal: false });
    expect(performance.now() - startedMs).toBeGreaterThan(250);
  });

  test.each(["60001", "-1", "abc", "1.5", "1e9"])(
    "?waitMs=%s is 400: limits are not clamped",
    async (waitMs) => {
      const api = await newSession(server());
      const { id } = await api.submit(tokensBody());
      expectProblem(await api.call("GET", `/v1/jobs/${id}?waitMs=${waitMs}`), 400, "invalid_request");
    },
  );
});

describe("Prefer: wait (RFC 7240)", () => {
  test("answers 200 with the finished job if it ends in time", async () => {
    const api = await newSession(server());
    const answer = await api.post(tokensBody({ tokens: 4, intervalMs: 50 }), { prefer: "wait=10" });
    expect(answer.status).toBe(200);
    expect(answer.body).toMatchObject({ status: "succeeded", terminal: true, result: { tokens: 4 } });
    expect(answer.headers.get("preference-applied")).toBe("wait=10");
  });

  test("answers the 202 if it does not", async () => {
    const api = await newSession(server());
    const startedMs = performance.now();
    const answer = await api.post(lastingBody(), { prefer: "wait=1" });
    expect(answer.status).toBe(202);
    expect(answer.body.terminal).toBe(false);
    expect(answer.headers.get("preference-applied")).toBe("wait=1");
    expect(performance.now() - startedMs).toBeGreaterThan(900);
  });

  test("is clamped to 60 and says so", async () => {
    const api = await newSession(server());
    const answer = await api.post(tokensBody(), { prefer: "respond-async, wait=3600" });
    expect(answer.status).toBe(200);
    expect(answer.headers.get("preference-applied")).toContain("wait=60");
  });

  test.each(["wait=abc", "wait=-1", "handling=strict", "wait"])(
    "%s that means nothing is ignored",
    async (prefer) => {
      const api = await newSession(server());
      const answer = await api.post(lastingBody(), { prefer });
      expect(answer.status).toBe(202);
      expect(answer.headers.get("preference-applied")).toBeNull();
    },
  );
});

describe("GET /v1/jobs", () => {
  let api: Api;
  const ids: string[] = [];
  beforeAll(async () => {
    api = await newSession(server());
    for (let n = 0; n < 7; n += 1) {
      const job = await api.submit(n % 3 === 0 ? { type: "speech", input: { text: "Hi." } } : tokensBody());
      ids.unshift(job.id);
      await api.finished(job.id);
    }
    ids.unshift((await api.submit(lastingBody())).id);
    await api.inStatus(ids[0] ?? "", "running");
  });
  const list = (query: string) => api.call<List>("GET", `/v1/jobs${query}`);

  test("lists the user's own jobs, newest first", async () => {
    const other = await newSession(server());
    await other.submit(tokensBody());
    const { status, body } = await list("");
    expect(status).toBe(200);
    expect(body.items.map(({ id }) => id)).toEqual(ids);
    expect(body.next).toBeNull();
    expect(body.items[1]).toEqual(await api.job(ids[1] ?? ""));
  });

  test("goes page by page with its cursor, and new jobs do not disturb it", async () => {
    const seen: string[] = [];
    let newer = "";
    for (let query = "?limit=3"; query !== "";) {
      const { body } = await list(query);
      expect(body.items.length).toBeLessThanOrEqual(3);
      seen.push(...body.items.map(({ id }) => id));
      if (newer === "") newer = (await api.submit(tokensBody())).id;
      query = body.next === null ? "" : `?limit=3&cursor=${encodeURIComponent(body.next)}`;
    }
    expect(seen).toEqual(ids);
    ids.unshift(newer);
    await api.finished(newer);
  });

  test("filters by status and by type", async () => {
    const running = await list("?status=running");
    expect(running.body.items.map(({ status }) => status)).toEqual(["running"]);
    const speech = await list("?type=speech&status=succeeded");
    expect(speech.body.items.map(({ type }) => type)).toEqual(["speech", "speech", "speech"]);
    expect((await list("?type=unheard-of")).body.items).toEqual([]);
  });

  test("ignores unknown query parameters", async () => {
    expect((await list("?colour=blue&limit=1")).body.items).toHaveLength(1);
  });

  test.each(["0", "-1", "201", "1e9", "abc", "1.5"])(
    "?limit=%s is 400: limits are not clamped",
    async (limit) => {
      expectProblem(await api.call("GET", `/v1/jobs?limit=${limit}`), 400, "invalid_request");
    },
  );

  test("?status of no such name is 400", async () => {
    expectProblem(await api.call("GET", "/v1/jobs?status=happy"), 400, "invalid_request");
  });

  test("a cursor that was tampered with, or is none, is 400 invalid_cursor", async () => {
    const { body } = await list("?limit=2");
    const cursor = body.next ?? "";
    const middle = Math.floor(cursor.length / 2);
    const flipped = cursor.slice(0, middle) + (cursor[middle] === "A" ? "B" : "A") + cursor.slice(middle + 1);
    for (const bad of [flipped, cursor.slice(1), `${cursor}x`, "nonsense", "%00", "🗝"]) {
      expectProblem(
        await api.call("GET", `/v1/jobs?cursor=${encodeURIComponent(bad)}`),
        400,
        "invalid_cursor",
      );
    }
  });

  test("another user's cursor shows nothing of that user's", async () => {
    const { body } = await list("?limit=2");
    const other = await newSession(server());
    const answer = await other.call<List>("GET", `/v1/jobs?cursor=${encodeURIComponent(body.next ?? "")}`);
    if (answer.status === 200) expect(answer.body.items).toEqual([]);
    else expect(answer.status).toBe(400);
  });
});
