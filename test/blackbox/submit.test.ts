/** POST /v1/jobs: what is accepted and what comes back (PROTOCOL section 3, Submit and Job). */
import { beforeAll, describe, expect, test } from "bun:test";
import { type Api, lastingBody, newSession, tokensBody } from "../support/http.ts";
import { sharedServer } from "../support/server.ts";
import { expectShape } from "../support/shape.ts";

const server = sharedServer();
let api: Api;
beforeAll(async () => {
  api = await newSession(server());
});

const TIME = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/) as unknown;
const UUID_V7 = expect.stringMatching(
  /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
) as unknown;

describe("an accepted job (section 3)", () => {
  test("is answered 202 with Location, Retry-After and the job", async () => {
    const answer = await api.post(lastingBody());
    const job = answer.body;
    expect(answer.status).toBe(202);
    expect(answer.headers.get("location")).toBe(`/v1/jobs/${job.id}`);
    expect(answer.headers.get("retry-after")).toBe("1");
    expectShape(job, {
      id: UUID_V7,
      type: "tokens",
      terminal: false,
      attempt: expect.any(Number),
      head: expect.any(Number),
      createdAt: TIME,
      metadata: {},
      traceId: expect.stringMatching(/^[0-9a-f]{32}$/),
      urls: {
        self: `/v1/jobs/${job.id}`,
        events: `/v1/jobs/${job.id}/events`,
        output: `/v1/jobs/${job.id}/output`,
        cancel: `/v1/jobs/${job.id}/cancel`,
      },
    });
    expect(["queued", "running"]).toContain(job.status);
    expect(job.head).toBeGreaterThanOrEqual(1);
    for (const absent of ["result", "error", "finishedAt", "retryOf", "deliveredAt"])
      expect(job).not.toHaveProperty(absent);
    await api.cancel(job.id);
  });

  test("that ended has times, result and no queue", async () => {
    const { id } = await api.submit(tokensBody());
    const job = await api.finished(id);
    expectShape(job, {
      status: "succeeded",
      terminal: true,
      attempt: 1,
      startedAt: TIME,
      finishedAt: TIME,
    });
    expect(job.result).toEqual({ tokens: 3 });
    expect(job).not.toHaveProperty("queue");
    expect(job).not.toHaveProperty("error");
    expect(Date.parse(job.finishedAt ?? "")).toBeGreaterThanOrEqual(Date.parse(job.createdAt));
  });

  test("may carry every option at its most, and its metadata come back", async () => {
    const metadata = Object.fromEntries(
      Array.from({ length: 16 }, (_, n) => [`${"k".repeat(62)}${n + 10}`, "ä".repeat(512)]),
    );
    const job = await api.submit(
      tokensBody(
        { tokens: 1, size: 4096, intervalMs: 0, audioBytes: 65_536 },
        {
          metadata,
          priority: 9,
          startWithinMs: 60_000,
          timeoutMs: 86_400_000,
          firstOutputMs: 60_000,
          idleMs: 60_000,
          maxAttempts: 25,
          retryAfterOutput: false,
          onDisconnect: "cancel",
          orphanMs: 60_000,
          lane: "l".repeat(64),
        },
      ),
    );
    expect(job.metadata).toEqual(metadata);
    expect(await api.finished(job.id)).toMatchObject({ status: "succeeded", metadata });
  });

  test.each(["application/json", "application/json; charset=utf-8", "Application/JSON;charset=UTF-8"])(
    "may come as %s",
    async (contentType) => {
      expect((await api.post(tokensBody(), { "content-type": contentType })).status).toBe(202);
    },
  );

  test("keeps text of every script as it is", async () => {
    const metadata = { "ключ 🗝": 'line\nbreak\ttab "quotes" \\ 𝄞 ‮ <script> \' OR 1=1 --' };
    expect((await api.submit(tokensBody({}, { metadata }))).metadata).toEqual(metadata);
  });
});
