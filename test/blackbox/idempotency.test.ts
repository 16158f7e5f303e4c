/** Idempotency-Key: one user, one route, one key, one body make one job (PROTOCOL section 3, Idempotency). */
import { describe, expect, test } from "bun:test";
import { type Api, expectProblem, lastingBody, newSession, tokensBody } from "../support/http.ts";
import { sharedServer, startServer } from "../support/server.ts";
import type { JobBody } from "../support/wire.ts";

const server = sharedServer();

function withKey(api: Api, key: string, body: unknown) {
  return api.post(body, { "idempotency-key": key });
}

async function jobCount(api: Api): Promise<number> {
  return (await api.call<{ items: JobBody[] }>("GET", "/v1/jobs?limit=200")).body.items.length;
}

describe("a repeated key", () => {
  test("with the same body gives the same job in its present state, marked as replayed", async () => {
    const api = await newSession(server());
    const first = await withKey(api, '"a"', tokensBody());
    expect(first.status).toBe(202);
    expect(first.headers.get("idempotent-replayed")).toBeNull();
    const ended = await api.finished(first.body.id);
    const again = await withKey(api, '"a"', tokensBody());
    expect(again.status).toBe(202);
    expect(again.headers.get("idempotent-replayed")).toBe("true");
    expect(again.headers.get("location")).toBe(`/v1/jobs/${first.body.id}`);
    expect<JobBody>(again.body).toEqual(ended);
    expect(ended.status).toBe("succeeded");
    expect(await jobCount(api)).toBe(1);
  });

  test("with the same body in another order and spacing is the same", async () => {
    const api = await newSession(server());
    const texts = [
      '{"type":"tokens","input":{"tokens":1,"size":2,"intervalMs":0}}',
      '{ "input": {"intervalMs":0, "size":2, "tokens":1}, "type":"tokens" }',
    ];
    const ids: string[] = [];
    for (const body of texts) {
      const headers = { "content-type": "application/json", "idempotency-key": "order" };
      ids.push((await api.call<JobBody>("POST", "/v1/jobs", { body, headers })).body.id);
    }
    expect(ids[1]).toBe(ids[0] ?? "");
  });

  test("quoted and bare is the same key", async () => {
    const api = await newSession(server());
    const first = await withKey(api, '"same"', tokensBody());
    expect((await withKey(api, "same", tokensBody())).body.id).toBe(first.body.id);
  });

  test("with another body is 422 idempotency_key_reused, even if that body is not valid", async () => {
    const api = await newSession(server());
    await withKey(api, "k", tokensBody());
    for (const body of [
      tokensBody({ tokens: 4 }),
      tokensBody({}, { priority: 1 }),
      tokensBody({ tokens: 0 }),
      {},
    ]) {
      expectProblem(await withKey(api, "k", body), 422, "idempotency_key_reused");
    }
    expect(await jobCount(api)).toBe(1);
  });

  test("of another user is another key", async () => {
    const [mine, other] = [await newSession(server()), await newSession(server())];
    const first = await withKey(mine, "shared", tokensBody());
    const second = await withKey(other, "shared", tokensBody());
    expect(second.status).toBe(202);
    expect(second.headers.get("idempotent-replayed")).toBeNull();
    expect(second.body.id).not.toBe(first.body.id);
  });

  test("after a refusal is free: rejections are not remembered", async () => {
    const api = await newSession(server());
    expect((await withKey(api, "free", tokensBody({ tokens: 0 }))).status).toBe(400);
    const answer = await withKey(api, "free", tokensBody());
    expect(answer.status).toBe(202);
    expect(answer.headers.get("idempotent-replayed")).toBeNull();
  });

  test("is remembered through a restart", async () => {
    await using mortal = await startServer();
    const api = await newSession(mortal);
    const first = await withKey(api, "lasting", lastingBody());
    await mortal.restart();
    const again = await withKey(api, "lasting", lastingBody());
    expect(again.headers.get("idempotent-replayed")).toBe("true");
    expect(again.body.id).toBe(first.body.id);
  });

  test("on a retry is a key of its own (section 3: by user, route and key)", async () => {
    const api = await newSession(server());
    const first = await withKey(api, "route", tokensBody());
    await api.finished(first.body.id);
    const retry = () =>
      api.call<JobBody>("POST", `/v1/jobs/${first.body.id}/retry`, {
        headers: { "idempotency-key": "route" },
      });
    const [one, two] = [await retry(), await retry()];
    expect(one.status).toBe(202);
    expect(one.body).toMatchObject({ retryOf: first.body.id });
    expect(two.headers.get("idempotent-replayed")).toBe("true");
    expect(two.body.id).toBe(one.body.id);
  });
});

test("faults/R50 fifty at once with one key make one job and fifty answers about it", async () => {
  const api = await newSession(server());
  const answers = await Promise.all(Array.from({ length: 50 }, () => withKey(api, "storm", lastingBody())));
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([202]));
  expect(new Set(answers.map(({ body }) => body.id)).size).toBe(1);
  expect(answers.filter(({ headers }) => headers.get("idempotent-replayed") === "true")).toHaveLength(49);
  expect(await jobCount(api)).toBe(1);
  await api.cancel(answers[0]?.body.id ?? "");
});

describe("a key that is none is 400 invalid_idempotency_key", () => {
  const bad: [name: string, key: string][] = [
    ["nothing in quotes", '""'],
    ["256 characters", "k".repeat(256)],
    ["256 characters in quotes", `"${"k".repeat(256)}"`],
    ["a letter beyond ASCII", "k\u00e9y"],
    ["a tab within", "a\tb"],
  ];
  test.each(bad)("%s", async (_name, key) => {
    const api = await newSession(server());
    expectProblem(await withKey(api, key, tokensBody()), 400, "invalid_idempotency_key");
  });

  test("while 255 characters and one are keys", async () => {
    const api = await newSession(server());
    for (const key of ["k".repeat(255), "k", '"k k"'])
      expect((await withKey(api, key, tokensBody())).status).toBe(202);
  });
});
