/** What belongs to somebody else, asked for in every way there is: the answer and its time are an unknown id's (docs/security.md, S10, S11). */
import { beforeAll, describe, expect, test } from "bun:test";
import { connect, dial, type Client } from "../support/client.ts";
import { type Api, apiOf, expectProblem, lastingBody, newSession, tokensBody } from "../support/http.ts";
import { sharedServer, startServer } from "../support/server.ts";
import { forge } from "../support/tokens.ts";
import type { Frame, JobBody, SessionBody } from "../support/wire.ts";
import { tokenOf, WITH_SECRET } from "./identity-provider.ts";
import { median } from "./timing.ts";

const server = sharedServer({ env: WITH_SECRET });

let alice: Client;
let mallory: Client;
/** Alice's: one that has ended, one that runs, one that was deleted. */
let jobs: readonly string[] = [];
beforeAll(async () => {
  alice = await connect(server(), { token: tokenOf("alice") });
  mallory = await connect(server(), { token: tokenOf("mallory") });
  const api = apiOf(server(), alice.token);
  const ended = await api.submit(tokensBody({ audioBytes: 64 }));
  await api.finished(ended.id);
  const deleted = await api.submit(tokensBody());
  await api.finished(deleted.id);
  await api.call("DELETE", `/v1/jobs/${deleted.id}`);
  const running = await api.submit(lastingBody());
  await alice.waitForEvent(running.id, "its first words", ({ kind }) => kind === "output.text");
  jobs = [ended.id, running.id, deleted.id];
});

/** Mallory by session token, and by user token alone. */
const mallorys = (): Api[] => [apiOf(server(), mallory.token), apiOf(server(), tokenOf("mallory"))];

const without = (text: string, id: string): string =>
  text.replaceAll(id, "ID").replaceAll(/"(?:traceId|re)":"[^"]*"/g, "");

const CALLS: [method: string, path: string, headers: Record<string, string>][] = [
  ["GET", "/v1/jobs/{id}", {}],
  ["GET", "/v1/jobs/{id}?waitMs=50", {}],
  ["GET", "/v1/jobs/{id}", { "if-none-match": "*" }],
  ["GET", "/v1/jobs/{id}/events", {}],
  ["GET", "/v1/jobs/{id}/events?after=99999&limit=0", {}],
  ["GET", "/v1/jobs/{id}/events", { accept: "text/event-stream", "last-event-id": "1" }],
  ["GET", "/v1/jobs/{id}/events", { accept: "application/x-ndjson" }],
  ["GET", "/v1/jobs/{id}/events", { accept: "image/png" }],
  ["GET", "/v1/jobs/{id}/output", {}],
  ["GET", "/v1/jobs/{id}/audio", {}],
  ["GET", "/v1/jobs/{id}/audio", { range: "bytes=999999-" }],
  ["POST", "/v1/jobs/{id}/cancel", {}],
  ["POST", "/v1/jobs/{id}/retry", {}],
  ["POST", "/v1/jobs/{id}/retry", { "idempotency-key": "k" }],
  ["DELETE", "/v1/jobs/{id}", {}],
  ["HEAD", "/v1/jobs/{id}", {}],
  ["GET", "/v1/sessions/{id}", {}],
  ["DELETE", "/v1/sessions/{id}", {}],
];

describe("S10 another user's job or session", () => {
  test.each(CALLS)("S10 by %s %s with %j → exactly as an unknown id", async (method, path, headers) => {
    const at = (id: string): string => path.replace("{id}", id);
    const own = apiOf(server(), alice.token);
    const before = JSON.stringify([await own.job(jobs[0] ?? ""), await own.job(jobs[1] ?? "")]);
    for (const api of mallorys()) {
      const unknownId = Bun.randomUUIDv7();
      const unknown = await api.call(method, at(unknownId), { headers });
      for (const id of [...jobs, alice.sessionId]) {
        const foreign = await api.call(method, at(id), { headers });
        expect(foreign.status).toBe(404);
        expect(without(foreign.text, id)).toBe(without(unknown.text, unknownId));
        expect([...foreign.headers.keys()].toSorted()).toEqual([...unknown.headers.keys()].toSorted());
      }
    }
    expect(JSON.stringify([await own.job(jobs[0] ?? ""), await own.job(jobs[1] ?? "")])).toBe(before);
    expect((await own.call("GET", "/v1/sessions/current")).status).toBe(200);
  });

  const FRAMES: [name: string, frame: (job: string) => object][] = [
    ["attach", (job) => ({ type: "attach", job })],
    ["attach beyond the head", (job) => ({ type: "attach", job, after: 999_999 })],
    ["ack", (job) => ({ type: "ack", job, seq: 1 })],
    ["ack beyond the head", (job) => ({ type: "ack", job, seq: 999_999 })],
    ["detach", (job) => ({ type: "detach", job })],
  ];
  test.each(FRAMES)(
    "S10 by %s → exactly as an unknown id, and nothing of it arrives",
    async (_name, frame) => {
      const unknownId = Bun.randomUUIDv7();
      const unknown = await mallory.ask(frame(unknownId));
      for (const id of jobs) {
        const foreign: Frame = await mallory.ask(frame(id));
        expect(without(JSON.stringify(foreign), id)).toBe(without(JSON.stringify(unknown), unknownId));
        expect(mallory.events(id)).toEqual([]);
      }
    },
  );

  test("S10 lists, welcome and a cursor out of another's list show nothing of it", async () => {
    const own = await apiOf(server(), alice.token).call<{ next: string }>("GET", "/v1/jobs?limit=1");
    expect(own.body.next).toBeString();
    for (const api of mallorys()) {
      for (const query of ["", "?status=running", "?type=tokens", `?cursor=${own.body.next}`]) {
        const list = await api.call<{ items: JobBody[] }>("GET", `/v1/jobs${query}`);
        expect(list).toMatchObject({ status: 200, body: { items: [] } });
      }
      const sessions = await api.call<{ items: SessionBody[] }>("GET", "/v1/sessions");
      expect(new Set(sessions.body.items.map(({ userId }) => userId))).toEqual(new Set(["mallory"]));
    }
    expect(mallory.welcome.jobs).toEqual([]);
  });

  test("S10 as previousJobId → exactly as an unknown id", async () => {
    const ask = (previousJobId: string) =>
      apiOf(server(), mallory.token).post({
        type: "chat",
        input: { messages: [{ role: "user", content: "What did they say?" }], previousJobId },
      });
    const unknownId = Bun.randomUUIDv7();
    const unknown = await ask(unknownId);
    expectProblem(unknown, 400, "invalid_request");
    for (const id of jobs) expect(without((await ask(id)).text, id)).toBe(without(unknown.text, unknownId));
  });

  /** Medians of many questions, foreign and unknown in turn, so that whatever else the machine does hits both. */
  async function compare(ask: (id: string) => Promise<unknown>, foreign = jobs): Promise<number> {
    const [foreignMs, unknownMs]: [number[], number[]] = [[], []];
    for (let n = 0; n < 150; n += 1) {
      for (const [id, tookMs] of [
        [foreign[n % foreign.length] ?? "", foreignMs],
        [Bun.randomUUIDv7(), unknownMs],
      ] as const) {
        const startedMs = performance.now();
        await ask(id);
        tookMs.push(performance.now() - startedMs);
      }
    }
    return median(foreignMs) / median(unknownMs);
  }

  test("S10 and its time says nothing either", async () => {
    const api = apiOf(server(), mallory.token);
    expect(await compare((id) => api.call("GET", `/v1/jobs/${id}/events`))).toBeWithin(0.5, 2);
    expect(await compare((id) => api.call("POST", `/v1/jobs/${id}/cancel`))).toBeWithin(0.5, 2);
    expect(await compare((id) => mallory.attach(id))).toBeWithin(0.5, 2);
    const sessions = [alice.sessionId, (await newSession(server(), tokenOf("alice"))).sessionId];
    for (const method of ["GET", "DELETE"]) {
      const ratio = await compare((id) => api.call(method, `/v1/sessions/${id}`), sessions);
      expect(ratio).toBeWithin(0.5, 2);
    }
  });
});

describe("S11 resume with another's session", () => {
  /** What a socket is told, all of it. */
  async function answerTo(token: string, session?: string): Promise<unknown> {
    const client = dial(server(), { token, ...(session === undefined ? {} : { session }) });
    return { closed: await client.waitForClose(), frames: client.frames() };
  }

  test("S11 by one's own user token and another's session token → 4501, as for a session that is over", async () => {
    const victim = await connect(server(), { token: tokenOf("victim") });
    const foreign = await answerTo(tokenOf("mallory"), victim.token);
    expect(foreign).toMatchObject({ closed: { code: 4501, reason: "session_gone" } });
    await using brief = await startServer({ env: { ...WITH_SECRET, HOLDLINE_RESUME_MS: "0" } });
    const gone = await newSession(brief, tokenOf("mallory"));
    const late = dial(brief, { token: tokenOf("mallory"), session: gone.token });
    const over = { closed: await late.waitForClose(), frames: late.frames() };
    expect(foreign).toEqual(over);
    await victim.settle();
    expect(victim.closed).toBeNull();
  });

  test("S11 by a guessed id → one answer, whether there is such a session or not", async () => {
    const mine = await newSession(server(), tokenOf("mallory"));
    const guess = (sid: string, sub: string) => forge(mine.token, { claims: { sid, sub } });
    const guesses = [
      guess(alice.sessionId, "alice"),
      guess(alice.sessionId, "mallory"),
      guess(Bun.randomUUIDv7(), "alice"),
      guess("current", "alice"),
      guess("", "alice"),
    ];
    for (const beside of [undefined, tokenOf("mallory")]) {
      const answers: unknown[] = [];
      for (const session of guesses) {
        answers.push(await (beside === undefined ? answerTo(session) : answerTo(beside, session)));
      }
      expect(answers).toEqual(guesses.map(() => answers[0]));
      expect(answers[0]).toMatchObject({ closed: { code: 4500, reason: "unauthenticated" } });
    }
    await alice.settle();
    expect(alice.closed).toBeNull();
  });

  test("S11 of the time when the server was open: nobody ever vouched for its user → 4501 and 401", async () => {
    await using turned = await startServer();
    const session = await newSession(turned);
    await turned.restart(WITH_SECRET);
    expectProblem(await session.call("GET", "/v1/jobs"), 401, "session_gone");
    expectProblem(await session.call("POST", "/v1/sessions/current/token"), 401, "session_gone");
    expect((await dial(turned, { token: session.token }).waitForClose()).code).toBe(4501);
  });
});
