/** `runAt` and `delayMs` (PROTOCOL section 3, POST /v1/jobs): when a job runs, and what is told of it until then. */
import { beforeAll, describe, expect, test } from "bun:test";
import { type Api, apiOf, newSession, tokensBody } from "../support/http.ts";
import { outline } from "../support/log-checker.ts";
import { sharedServer, startServer } from "../support/server.ts";
import { expectShape } from "../support/shape.ts";
import { letTimePass } from "../support/wait.ts";

const server = sharedServer();
let api: Api;
beforeAll(async () => {
  api = await newSession(server());
});

const soon = (delayMs: number): string => new Date(Date.now() + delayMs).toISOString();

/** Milliseconds from when the job may run to when it did. */
async function lateness(from: Api, id: string): Promise<number> {
  const job = await from.finished(id);
  return Date.parse(job.startedAt ?? "") - Date.parse(job.runAt ?? "");
}

describe("a job that is put off", () => {
  test("by a delay waits for it, says until when, and runs in that moment", async () => {
    const accepted = await api.submit(tokensBody({}, { delayMs: 400 }));
    expectShape(accepted, { status: "queued", attempt: 0, queue: { position: 1 } });
    expect(Date.parse(accepted.runAt ?? "") - Date.parse(accepted.createdAt)).toBe(400);
    expect((await api.log(accepted.id))[0]).toMatchObject({
      kind: "job.queued",
      data: { position: 1, runAt: Date.parse(accepted.runAt ?? "") },
    });
    const lateMs = await lateness(api, accepted.id);
    expect(lateMs).toBeGreaterThanOrEqual(0);
    expect(lateMs).toBeLessThan(1000);
  });

  test("to a time of day runs then, whatever its offset; at once when it is over", async () => {
    const runAt = soon(400);
    const zoned = `${new Date(Date.parse(runAt) + 7_200_000).toISOString().slice(0, -1)}+02:00`;
    const { id } = await api.submit(tokensBody({}, { runAt: zoned }));
    expect((await api.job(id)).runAt).toBe(runAt);
    expect(await lateness(api, id)).toBeGreaterThanOrEqual(0);
    const past = await api.submit(tokensBody({}, { runAt: "2001-01-01T00:00:00Z" }));
    expect((await api.finished(past.id)).status).toBe("succeeded");
  });

  test("can be canceled while it waits, and never runs", async () => {
    const { id } = await api.submit(tokensBody({}, { delayMs: 86_400_000 }));
    expect((await api.cancel(id)).status).toBe(200);
    expect(outline(await api.log(id))).toEqual(["job.queued", "job.canceled"]);
  });

  test("is one job for one key, and another time is another body", async () => {
    const headers = { "idempotency-key": `put-off-${Bun.randomUUIDv7()}` };
    const body = tokensBody({}, { delayMs: 86_400_000 });
    const first = await api.submit(body, headers);
    expect((await api.submit(body, headers)).id).toBe(first.id);
    expect((await api.post(tokensBody({}, { delayMs: 1 }), headers)).status).toBe(422);
    await api.cancel(first.id);
  });

  test("runs at once when it is retried", async () => {
    const { id } = await api.submit(tokensBody({}, { delayMs: 86_400_000 }));
    await api.cancel(id);
    const again = await api.call<{ id: string }>("POST", `/v1/jobs/${id}/retry`);
    const job = await api.finished(again.body.id);
    expect(job.status).toBe("succeeded");
    expect(job).not.toHaveProperty("runAt");
  });

  test("expires when it is not started within its time after it is due", async () => {
    await using narrow = await startServer({ env: { HOLDLINE_CONCURRENCY: "1" } });
    const own = await newSession(narrow);
    const holder = await own.submit(tokensBody({ tokens: 100, intervalMs: 60_000 }));
    const { id } = await own.submit(tokensBody({}, { delayMs: 300, startWithinMs: 200 }));
    const ended = await own.finished(id);
    expect(ended.status).toBe("expired");
    expect(Date.parse(ended.finishedAt ?? "") - Date.parse(ended.createdAt)).toBeGreaterThanOrEqual(500);
    await own.cancel(holder.id);
  });

  test("survives a SIGKILL: what became due meanwhile runs at once, the rest in its moment", async () => {
    await using own = await startServer();
    const before = await newSession(own);
    const missed = await before.submit(tokensBody({}, { delayMs: 300 }));
    const coming = await before.submit(tokensBody({}, { runAt: soon(2500) }));
    await own.kill("SIGKILL");
    await letTimePass(300); // the first becomes due while the server is down
    await own.restart();
    const after = apiOf(own, before.token);
    expect((await after.finished(missed.id)).status).toBe("succeeded");
    expect((await after.job(coming.id)).status).toBe("queued");
    const lateMs = await lateness(after, coming.id);
    expect(lateMs).toBeGreaterThanOrEqual(0);
    expect(lateMs).toBeLessThan(1500);
  });
});
