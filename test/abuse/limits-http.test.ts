/** Floods of requests and of jobs against a real server (FAULTS S37, S38): refused with what to do, and nobody else notices. */
import { describe, expect, test } from "bun:test";
import { connect, dial } from "../support/client.ts";
import {
  apiOf,
  expectProblem,
  lastingBody,
  newSession,
  tokensBody,
  type Answer,
  type Api,
} from "../support/http.ts";
import { rawRequest, upgradeHeaders } from "../support/raw.ts";
import { startServer } from "../support/server.ts";
import { unsigned, userToken } from "../support/tokens.ts";
import { letTimePass } from "../support/wait.ts";

const SECRET = "a secret of the operator that is long enough";
const WITH_USERS = { HOLDLINE_AUTH_SECRET: SECRET, HOLDLINE_TOKENS: "on" };
const UNKNOWN_JOB = "01890a5d-ac96-774b-bcce-b302099a8057";

const tokenOf = (sub: string): string => userToken(SECRET, { sub });

/** What the RateLimit fields of an answer say, in the syntax of the draft. */
function quotaOf(headers: Headers): { left: number; seconds: number; most: number; windowSeconds: number } {
  const limit = /^"default";r=(\d+);t=(\d+)$/.exec(headers.get("ratelimit") ?? "");
  const policy = /^"default";q=(\d+);w=(\d+)$/.exec(headers.get("ratelimit-policy") ?? "");
  if (limit === null || policy === null) {
    throw new Error(`RateLimit: ${headers.get("ratelimit")}, Policy: ${headers.get("ratelimit-policy")}`);
  }
  const [left, seconds] = limit.slice(1).map(Number);
  const [most, windowSeconds] = policy.slice(1).map(Number);
  return { left: left ?? -1, seconds: seconds ?? -1, most: most ?? -1, windowSeconds: windowSeconds ?? -1 };
}

function expectLimited(answer: Answer<unknown>, most: number): void {
  expectProblem(answer, 429, "rate_limited");
  const { left, seconds, ...policy } = quotaOf(answer.headers);
  expect({ left, ...policy }).toEqual({ left: 0, most, windowSeconds: 60 });
  expect(answer.headers.get("retry-after")).toBe(String(seconds));
  expect(seconds).toBeGreaterThan(0);
  expect(seconds).toBeLessThanOrEqual(60);
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

describe("S37 a flood of requests", () => {
  test("S37 of one user: each answer says what is left, then 429 that keeps its word; another user is free", async () => {
    await using server = await startServer({ env: { HOLDLINE_RATE_PER_MINUTE: "60" } });
    const [api, other] = [await newSession(server), await newSession(server)];
    const lefts: number[] = [];
    let refused: Answer<unknown> | null = null;
    while (refused === null) {
      const answer = await api.call("GET", "/v1/sessions/current");
      if (answer.status !== 200) refused = answer;
      else lefts.push(quotaOf(answer.headers).left);
      expect(lefts.length).toBeLessThan(120);
    }
    expect(lefts.length).toBeGreaterThanOrEqual(60);
    expect(lefts[0]).toBe(59);
    expect(lefts.at(-1)).toBe(0);
    expectLimited(refused, 60);
    expect((await other.call("GET", "/v1/sessions/current")).status).toBe(200);
    await letTimePass(Number(refused.headers.get("retry-after")) * 1000);
    expect((await api.call("GET", "/v1/sessions/current")).status).toBe(200);
  });

  test("S37 is counted for the user, over all sessions and every route", async () => {
    await using server = await startServer({ env: { ...WITH_USERS, HOLDLINE_RATE_PER_MINUTE: "12" } });
    const [a, b] = [await newSession(server, tokenOf("ada")), await newSession(server, tokenOf("ada"))];
    const routes: ((api: Api) => Promise<Answer<unknown>>)[] = [
      (api) => api.post(tokensBody()),
      (api) => api.call("GET", `/v1/jobs/${UNKNOWN_JOB}`),
      (api) => api.call("GET", "/v1/types"),
      (api) => api.call("POST", "/v1/sessions/current/token"),
    ];
    for (let n = 0; n < 12; n += 1) {
      const route = routes[n % routes.length];
      const answer = await route?.(n % 2 === 0 ? a : b);
      expect(answer?.status).not.toBe(429);
    }
    for (const route of routes) expectLimited(await route(a), 12);
    for (const api of [b, apiOf(server, tokenOf("ada"))])
      expectLimited(await api.call("GET", "/v1/types"), 12);
  });

  test("S37 with bad tokens is refused unseen; who was let in before passes, other addresses do not notice", async () => {
    await using server = await startServer({
      env: { ...WITH_USERS, HOLDLINE_RATE_PER_MINUTE: "6", HOLDLINE_TRUSTED_PROXIES: "127.0.0.1" },
    });
    const here = { headers: { "x-forwarded-for": "203.0.113.1" } };
    const elsewhere = { headers: { "x-forwarded-for": "203.0.113.2" } };
    const known = await newSession(server, tokenOf("ada"));
    expect((await known.call("GET", "/v1/types", here)).status).toBe(200);
    const bad = apiOf(server, unsigned({ sub: "ada" }));
    let answer = await bad.call("GET", "/v1/types", here);
    for (let n = 1; answer.status === 401; n += 1) {
      expect(n).toBeLessThan(60);
      answer = await bad.call("GET", "/v1/types", here);
    }
    expectLimited(answer, 6);
    // A good token that was never seen is not looked at either: telling costs a signature check.
    expectLimited(await apiOf(server, tokenOf("ben")).call("GET", "/v1/types", here), 6);
    expect((await known.call("GET", "/v1/types", here)).status).toBe(200);
    expect((await apiOf(server, tokenOf("ben")).call("GET", "/v1/types", elsewhere)).status).toBe(200);
    expect((await bad.call("GET", "/v1/types", elsewhere)).status).toBe(401);
    const handshake = (token: string) =>
      rawRequest(server.port, {
        path: "/v1/connect",
        headers: [...upgradeHeaders(`holdline.v1, bearer.${token}`), ["X-Forwarded-For", "203.0.113.1"]],
      });
    expect((await handshake(unsigned({ sub: "ada" })))?.status).toBe(429);
    await (await connect(server, { token: known.token, headers: here.headers })).close();
  });

  test("S37 bad tokens over sockets count as well", async () => {
    await using server = await startServer({ env: { ...WITH_USERS, HOLDLINE_RATE_PER_MINUTE: "6" } });
    for (let n = 0; n < 6; n += 1) {
      expect((await dial(server, { token: unsigned({ sub: "a" }) }).waitForClose()).code).toBe(4500);
    }
    expectLimited(await apiOf(server, tokenOf("ben")).call("GET", "/v1/types"), 6);
  });

  test("S37 bad tokens shut out nobody who comes without one", async () => {
    await using server = await startServer({ env: { HOLDLINE_RATE_PER_MINUTE: "6" } });
    const bad = apiOf(server, unsigned({ sub: "a" }));
    for (let n = 0; n < 6; n += 1) expect((await bad.call("GET", "/v1/types")).status).toBe(401);
    expectLimited(await bad.call("GET", "/v1/types"), 6);
    expectProblem(await apiOf(server, "").call("GET", "/v1/types"), 401, "unauthenticated");
    const api = await newSession(server);
    expect((await api.call("GET", "/v1/types")).status).toBe(200);
    await (await connect(server)).close();
  });

  test("S37 leaves the server quick: the last thousand of 5,000 requests are as fast as the first", async () => {
    await using server = await startServer({ env: { HOLDLINE_RATE_PER_MINUTE: "6000" } });
    const { token } = await newSession(server);
    const headers = { authorization: `Bearer ${token}` };
    const durations: number[] = [];
    for (let n = 0; n < 5000; n += 1) {
      const began = performance.now();
      const answer = await fetch(`${server.url}/v1/sessions/current`, { headers });
      await answer.arrayBuffer();
      durations.push(performance.now() - began);
      expect(answer.status).toBe(200);
    }
    const [first, last] = [median(durations.slice(0, 1000)), median(durations.slice(4000))];
    expect(last).toBeLessThan(first * 3);
  }, 60_000);
});

/** Milliseconds from the submit to the finished job. */
async function runOnce(api: Api): Promise<number> {
  const began = performance.now();
  const answer = await api.post(tokensBody({ tokens: 5, intervalMs: 4 }), { prefer: "wait=30" });
  expect(answer.status).toBe(200);
  return performance.now() - began;
}

async function typicalRun(api: Api): Promise<number> {
  const runs: number[] = [];
  for (let n = 0; n < 15; n += 1) runs.push(await runOnce(api));
  return median(runs);
}

describe("S38 one user queues many jobs", () => {
  test("S38 too_many_jobs at the limit, with what to do; it is the user's own limit", async () => {
    await using server = await startServer({ env: { HOLDLINE_USER_JOBS: "200", HOLDLINE_CONCURRENCY: "4" } });
    const [greedy, other] = [await newSession(server), await newSession(server)];
    const answers = await Promise.all(Array.from({ length: 400 }, () => greedy.post(lastingBody())));
    expect(answers.filter(({ status }) => status === 202)).toHaveLength(200);
    const refused = answers.find(({ status }) => status !== 202);
    if (refused === undefined) throw new Error("400 jobs were accepted");
    expectProblem(refused, 429, "too_many_jobs");
    expect(refused.body).toMatchObject({ limit: "userJobs", retryable: true });
    expect(refused.headers.get("retry-after")).toBe("1");
    expect(refused.headers.get("ratelimit")).toBe('"jobs";r=0;t=1');
    expect(refused.headers.get("ratelimit-policy")).toBe('"jobs";q=200;qu="concurrent-requests"');
    expect((await other.post(lastingBody())).status).toBe(202);
  });

  test("S38 both quotas are told where both count", async () => {
    await using server = await startServer({
      env: { HOLDLINE_USER_JOBS: "1", HOLDLINE_RATE_PER_MINUTE: "100" },
    });
    const api = await newSession(server);
    await api.submit(lastingBody());
    const { headers } = await api.post(lastingBody());
    expect(headers.get("ratelimit")).toMatch(/^"jobs";r=0;t=1, "default";r=9\d;t=1$/);
    expect(headers.get("ratelimit-policy")).toMatch(/^"jobs";q=1;qu="[a-z-]+", "default";q=100;w=60$/);
  });

  test("S38 another user's job takes its turn as if nobody waited", async () => {
    await using server = await startServer({
      env: { HOLDLINE_USER_JOBS: "2000", HOLDLINE_CONCURRENCY: "8" },
    });
    const [greedy, other] = [await newSession(server), await newSession(server)];
    const alone = await typicalRun(other);
    // Some 2,000 runs of 20 ms each, eight at a time: five seconds of queue for whoever stands at its end.
    const body = tokensBody({ tokens: 5, intervalMs: 4 });
    const queue = await Promise.all(Array.from({ length: 2000 }, () => greedy.post(body)));
    expect(queue.every(({ status }) => status === 202)).toBe(true);
    const behind = await typicalRun(other);
    const last = await greedy.job(queue.at(-1)?.body.id ?? "");
    expect(last.status).toBe("queued");
    expect(behind).toBeLessThan(alone * 5);
  }, 60_000);
});
