/** Workers that reach further than they may: other tokens' leases, types out of scope, writes that come too late (S43–S46). */
import { beforeAll, describe, expect, test } from "bun:test";
import { apiOf, call, expectProblem, newSession, type Api } from "../support/http.ts";
import { issueToken, operateJson } from "../support/operator.ts";
import { sharedServer } from "../support/server.ts";
import { userToken } from "../support/tokens.ts";
import { until, within } from "../support/wait.ts";
import { handWorker, newWorker, textItem, type HandWorker, type Run } from "../support/worker.ts";

const AUTH_SECRET = "a shared secret of more than thirty-two bytes";
const server = sharedServer({
  env: {
    HOLDLINE_WORKER_TYPES: "render,paint-oil,paint-ink",
    HOLDLINE_AUTH_SECRET: AUTH_SECRET,
    HOLDLINE_JOB_BYTES: "100000",
    HOLDLINE_TOKEN_RATE_PER_MINUTE: "200",
  },
});
let user: Api;
let worker: HandWorker;
beforeAll(async () => {
  user = await newSession(server(), userToken(AUTH_SECRET, { sub: "alice" }));
  worker = await newWorker(server());
});

async function started(type = "render", by: HandWorker = worker): Promise<Run & { readonly id: string }> {
  const { id } = await user.submit({ type, input: {} });
  return { ...(await by.take({ types: [type] })), id };
}

/** Every call of a worker, about this job. */
const callsOf = (id: string): [path: string, json: unknown][] => [
  ["lease", { worker: "w", types: ["render"], max: 1, waitMs: 0 }],
  ["heartbeat", { worker: "w", leases: [] }],
  [`jobs/${id}/output`, {}],
  [`jobs/${id}/complete`, {}],
  [`jobs/${id}/fail`, { code: "x", message: "" }],
  [`jobs/${id}/release`, {}],
];

describe("S43 the API of workers", () => {
  test("takes worker tokens only, and says 401 or 403 before it looks at anything", async () => {
    const run = await started();
    const others: [headers: Record<string, string>, status: number, code: string][] = [
      [{}, 401, "unauthenticated"],
      [{ authorization: "Bearer hlw_garbage" }, 401, "unauthenticated"],
      [{ authorization: `Bearer ${user.token}` }, 403, "forbidden"],
    ];
    for (const kind of ["admin", "publish"] as const) {
      const { token } = await issueToken(server(), kind);
      others.push([{ authorization: `Bearer ${token}` }, 403, "forbidden"]);
    }
    for (const [headers, status, code] of others) {
      for (const [path, json] of callsOf(run.id)) {
        const lease = { "holdline-lease": run.job.leaseToken };
        const answer = await call("POST", `${server().url}/v1/worker/${path}`, {
          headers: { ...headers, ...lease },
          json,
        });
        expectProblem(answer, status, code);
      }
    }
    expect((await run.complete()).status).toBe(200);
  });

  test("opens nothing of the API of users or operators", async () => {
    const as = apiOf(server(), worker.token);
    const run = await started();
    for (const [method, path] of [
      ["GET", "/v1/jobs"],
      ["GET", `/v1/jobs/${run.id}`],
      ["POST", "/v1/jobs"],
      ["POST", `/v1/jobs/${run.id}/cancel`],
      ["POST", "/v1/sessions"],
      ["GET", "/v1/admin/workers"],
    ] as const) {
      expectProblem(await as.call(method, path, method === "POST" ? { json: {} } : {}), 403, "forbidden");
    }
    await run.complete();
  });
});

describe("S44 a lease outside the token's scope", () => {
  test("is forbidden for every type that is, known or not, and gives no job", async () => {
    const narrow = await newWorker(server(), { flags: ["--types", "paint-*,unheard-of"] });
    const { id } = await user.submit({ type: "render", input: {} });
    for (const types of [["render"], ["paint-oil", "render"], ["chat"], ["no-such-type"], ["paint"], ["*"]]) {
      expectProblem(await narrow.lease({ types, waitMs: 0 }), 403, "forbidden");
    }
    expectProblem(await narrow.lease({ types: ["unheard-of"], waitMs: 0 }), 422, "unknown_type");
    expect((await narrow.lease({ types: ["paint-oil", "paint-ink"], waitMs: 0 })).status).toBe(204);
    expect((await user.job(id)).status).toBe("queued");
    await user.cancel(id);
  });

  test("with a revoked token ends the work under way as well", async () => {
    const { token, id: tokenId } = await issueToken(server(), "worker");
    const run = await started("render", handWorker(server(), token, { name: "short" }));
    await operateJson(server(), ["token", "revoke", tokenId]);
    await until("the token to be refused", async () => (await run.beat()).status === 401);
    for (const answer of [await run.text("a"), await run.beat(), await run.complete()]) {
      expectProblem(answer, 401, "token_revoked");
    }
    expect((await user.job(run.id)).status).toBe("running");
    await user.cancel(run.id);
  });

  test("S43 with a token that was revoked meanwhile: a body that streams is cut off, a lease that waits gets no job", async () => {
    const { token, id: tokenId } = await issueToken(server(), "worker");
    const short = handWorker(server(), token, { name: "short" });
    const run = await started("render", short);
    const body = run.stream();
    body.line(textItem("before"));
    const heard = async () => (await user.output(run.id)).text;
    await until("the first words", async () => (await heard()) === "before");
    const waiting = short.lease({ types: ["paint-oil"], waitMs: 30_000 });
    await operateJson(server(), ["token", "revoke", tokenId]);
    await until("the token to be refused", async () => (await run.beat()).status === 401);

    body.line(textItem("after"));
    const cut = await within("the stream to be answered", body.answer);
    expectProblem(cut, 401, "token_revoked");
    expect(cut.body.next).toBe(1);
    expect(await heard()).toBe("before");
    const { id } = await user.submit({ type: "paint-oil", input: {} });
    expectProblem(await within("the lease to be refused", waiting), 401, "token_revoked");
    expect((await user.page(id)).events.map(({ kind }) => kind)).toEqual(["job.queued"]);
    await Promise.all([user.cancel(run.id), user.cancel(id)]);
  });
});

/** Every write of a run; what each is answered. */
async function writesOf(run: Run) {
  const answers = [
    await run.text("stolen"),
    await run.audio(new Uint8Array(2), 0),
    await run.complete({ stolen: true }),
    await run.fail(),
    await run.release(),
  ];
  return { answers, beat: (await run.beat({ checkpoint: "stolen", progress: { ratio: 1 } })).body.leases };
}

describe("S45 a lease that is not one's own", () => {
  test("is answered alike, whatever is wrong with it, and changes nothing", async () => {
    const run = await started();
    const other = await newWorker(server());
    const { job } = run;
    const unknown = Bun.randomUUIDv7();
    const stranger = await started("paint-oil");
    const wrong: [what: string, run: Run][] = [
      ["another token with the right lease", other.run(job)],
      ["a guessed lease", worker.run({ ...job, leaseToken: `${job.leaseToken.slice(0, -1)}9` })],
      ["the lease of another job", worker.run({ ...job, leaseToken: stranger.job.leaseToken })],
      ["an unknown job", worker.run({ ...job, id: unknown })],
    ];
    const before = await user.log(run.id);
    for (const [what, one] of wrong) {
      const { answers, beat } = await writesOf(one);
      for (const answer of answers) {
        expectProblem(answer, 409, "lease_lost");
        const { traceId: _, instance: __, ...rest } = answer.body;
        expect({ what, ...rest }).toEqual({ what, ...LOST } as never);
      }
      expect(beat).toEqual([{ job: one.job.id, status: "lost" }]);
    }
    expect(await user.log(run.id)).toEqual(before);
    expect((await run.complete({ own: true })).body.status).toBe("succeeded");
    expect((await user.job(run.id)).result).toEqual({ own: true });
    await stranger.complete();
  });

  test("any more is lost: after the end, after a release, after a delete", async () => {
    const ended = await started();
    await ended.release();
    const next = await worker.take();
    const purged = await started("paint-ink");
    await purged.complete();
    expect((await user.call("DELETE", `/v1/jobs/${purged.id}`)).status).toBe(204);
    for (const answer of [await ended.text("late"), await ended.complete(), await purged.text("late")]) {
      expectProblem(answer, 409, "lease_lost");
    }
    expect(JSON.stringify(await user.log(ended.id))).not.toContain("late");
    await next.complete();
  });

  test("is no part of a path or of the log", async () => {
    const run = await started();
    await run.text("a");
    await run.complete();
    for (const id of ["..%2f..", "%00", "not-a-uuid", "0".repeat(36)]) {
      const answer = await worker.ask(`jobs/${id}/complete`, {}, { "holdline-lease": run.job.leaseToken });
      expectProblem(answer, 404, "not_found");
    }
    const bare = await worker.ask(`jobs/${run.id}/complete`, {});
    expectProblem(bare, 400, "invalid_request");
    const secret = run.job.leaseToken.slice(0, 32);
    expect(secret).toMatch(/^[0-9a-f]{32}$/);
    expect(server().output()).not.toContain(secret);
    expect(JSON.stringify([bare.body, await user.log(run.id), await user.job(run.id)])).not.toContain(secret);
  });
});

const LOST = {
  type: "urn:holdline:problem:lease_lost",
  title: "The lease is no longer held",
  status: 409,
  detail: "This lease does not hold the job, or no longer does.",
  code: "lease_lost",
  retryable: false,
};

describe("S46 a worker", () => {
  test("that writes after the end is refused, and a body that was open is cut off", async () => {
    const run = await started();
    const stream = run.stream(0);
    stream.line(textItem("in time"));
    await until("the line", async () => (await user.output(run.id)).text === "in time");
    await user.call("POST", `/v1/jobs/${run.id}/cancel`);
    // Its worker does not heed it, so it is fenced when its grace is over.
    await user.finished(run.id);
    expectProblem(await within("the body to be answered", stream.answer), 409, "lease_lost");
    expectProblem(await run.text("too late"), 409, "lease_lost");
    expect((await user.output(run.id)).text).not.toContain("late");
  });

  test("that sends too much at once is told so, and goes on", async () => {
    const run = await started();
    await run.output([
      { kind: "output.audio.format", data: { codec: "opus", sampleRate: 48_000, channels: 2 } },
    ]);
    const much = [
      await run.audio(new Uint8Array(1024 * 1024 + 1)),
      await run.text("x".repeat(65_537)),
      await run.output([{ kind: "output.data", data: "x".repeat(1024 * 1024) }]),
      await run.output([`{"kind":"output.data","data":"${"x".repeat(5 * 1024 * 1024)}"}`]),
      await run.complete("x".repeat(1024 * 1024)),
      await run.beat({ checkpoint: "x".repeat(1024 * 1024) }),
    ];
    const limits = much.map((answer) => {
      expectProblem(answer, 413, "payload_too_large");
      return answer.body.limit;
    });
    expect(limits).toEqual([
      "audioChunkBytes",
      "deltaBytes",
      "eventBytes",
      "lineBytes",
      "eventBytes",
      "eventBytes",
    ]);
    expect(much.slice(0, 4).map(({ body }) => body.next)).toEqual([1, 1, 1, 1]);
    expect((await run.text("fine")).body.next).toBe(2);
    expect((await run.complete()).status).toBe(200);
  });

  test("that writes more than a log holds fails its job, which keeps what came before", async () => {
    const run = await started();
    let answer = await run.text("first");
    for (let n = 0; n < 10 && answer.status === 200; n += 1) answer = await run.text("x".repeat(20_000));
    expectProblem(answer, 413, "payload_too_large");
    expect(answer.body.limit).toBe("jobBytes");
    expect(await user.job(run.id)).toMatchObject({ status: "failed", error: { code: "output_too_large" } });
    expect((await user.output(run.id)).text).toStartWith("firstxxx");
    expectProblem(await run.complete(), 409, "lease_lost");
  });

  test("that floods with calls of no use is slowed down; one that works is not", async () => {
    const idle = await newWorker(server(), { name: "idle" });
    const busy = await newWorker(server(), { name: "busy" });
    let last = await idle.lease({ waitMs: 0 });
    for (let n = 0; n < 300 && last.status === 204; n += 1) last = await idle.lease({ waitMs: 0 });
    expectProblem(last, 429, "rate_limited");
    expect(Number(last.headers.get("retry-after"))).toBeGreaterThan(0);
    const run = await started("render", busy);
    for (let n = 0; n < 250; n += 1) expect((await run.text("x")).status).toBe(200);
    await run.complete();
  });
});
