/** Conformance of webhooks: armed by the end of their job, taken by one sender at a time, settled or given up. */
import { expect } from "bun:test";
import type { JobId, SessionId } from "../../../src/lib/ids.ts";
import { LIMITS } from "../../../src/protocol/limits.ts";
import type { WebhookOutcome } from "../../../src/jobs/webhook.ts";
import { SESSION, type Check, type Drive } from "../drive.ts";

const HOOK = { webhookUrl: "https://hooks.example.com/done" };
const AGAIN: WebhookOutcome = { kind: "again", retryAfterMs: 0 };
const LEASE_MS = 60_000;

const claim = (on: Drive, most = 10) => on.execute("claimWebhooks", { most, leaseMs: LEASE_MS });
const settle = (on: Drive, id: JobId, attempt: number, outcome: WebhookOutcome) =>
  on.execute("settleWebhook", {
    id,
    attempt: { attempt, at: on.now().wallMs, tookMs: 5, status: 500, error: null },
    outcome,
  });
const stateOf = async (on: Drive, id: JobId) => (await on.store.webhook(id))?.webhook ?? null;

async function ended(on: Drive, options: object = {}): Promise<JobId> {
  const run = await on.started({ ...HOOK, ...options });
  await on.succeed(run);
  return run.id;
}

export function webhooks(check: Check): void {
  check("is not there before its job has ended, and due at once when it has", async (on) => {
    const run = await on.started(HOOK);
    expect(await stateOf(on, run.id)).toBeNull();
    expect(await on.store.nextWebhook()).toBeNull();
    expect(await claim(on)).toEqual([]);
    await on.succeed(run);
    expect(await on.store.nextWebhook()).toBe(on.now().steadyMs);
    expect(await claim(on)).toEqual([{ id: run.id, attempt: 1 }]);
  });

  check("is armed by every kind of end, and by none but an end", async (on) => {
    const canceled = await on.submit(HOOK);
    await on.cancel(canceled);
    const expired = await on.submit({ ...HOOK, startWithinMs: 10 });
    on.pass(10);
    await on.sweep();
    const failed = await on.started({ ...HOOK, maxAttempts: 2 });
    await on.fail(failed);
    expect(await stateOf(on, failed.id)).toBeNull();
    on.pass(LIMITS.retryMostMs);
    await on.fail(await on.again(failed.id));
    const lost = await on.started({ ...HOOK, owner: "boot:node:gone", retryAfterOutput: false });
    await on.text(lost, "cut short");
    await on.recover({ owner: "boot:node:here" });
    const laneOlder = await on.submit({ ...HOOK, sessionId: SESSION, lane: "voice" });
    await on.submit({ sessionId: SESSION, lane: "voice" });
    const without = await ended(on, { webhookUrl: null });
    for (const id of [canceled, expired, failed.id, lost.id, laneOlder])
      expect(await stateOf(on, id)).toMatchObject({ state: "pending", attempts: 0 });
    expect(await stateOf(on, without)).toBeNull();
    expect(await claim(on)).toHaveLength(5);
  });

  check("waits for an acknowledgement if it was asked to, and is not needed after one", async (on) => {
    const told = await ended(on, { webhookAfterMs: 1000, sessionId: SESSION });
    const untold = await ended(on, { webhookAfterMs: 1000, sessionId: SESSION });
    on.pass(999);
    expect(await claim(on)).toEqual([]);
    const { head } = await on.job(told);
    await on.execute("acknowledge", { id: told, sessionId: "another" as SessionId, seq: head });
    on.pass(1);
    expect(await claim(on)).toEqual([{ id: untold, attempt: 1 }]);
    expect(await stateOf(on, told)).toEqual({ state: "unneeded", attempts: 0, dueBy: null });
  });

  check("is taken by one sender, the most overdue first, and again when its lease is over", async (on) => {
    const first = await ended(on);
    on.pass(1);
    const second = await ended(on);
    expect(await claim(on, 1)).toEqual([{ id: first, attempt: 1 }]);
    expect(await claim(on)).toEqual([{ id: second, attempt: 1 }]);
    expect(await claim(on)).toEqual([]);
    on.pass(LEASE_MS);
    expect(await claim(on, 1)).toEqual([{ id: first, attempt: 2 }]);
    // Whoever was late settles nothing any more.
    expect(await settle(on, first, 1, { kind: "delivered" })).toBe("stale");
    expect(await settle(on, first, 2, { kind: "delivered" })).toBe("delivered");
    expect(await settle(on, first, 2, AGAIN)).toBe("stale");
  });

  check("is tried on its schedule, every attempt is kept, and then it is given up", async (on) => {
    const id = await ended(on);
    const waits: number[] = [];
    for (let attempt = 1; ; attempt += 1) {
      expect(await claim(on)).toEqual([{ id, attempt }]);
      if ((await settle(on, id, attempt, AGAIN)) === "failed") break;
      const dueBy = (await on.store.nextWebhook()) ?? 0;
      waits.push(dueBy - on.now().steadyMs);
      on.pass(dueBy - on.now().steadyMs - 0.5);
      expect(await claim(on)).toEqual([]);
      on.pass(0.5);
    }
    expect(waits).toEqual([...LIMITS.webhookScheduleMs]);
    const found = await on.store.webhook(id);
    expect(found?.attempts.map(({ attempt, status }) => [attempt, status])).toEqual(
      Array.from({ length: waits.length + 1 }, (_, n) => [n + 1, 500]),
    );
    expect(await on.store.nextWebhook()).toBeNull();
  });

  check("waits longer when the receiver says so, and not at all when it is given up", async (on) => {
    const id = await ended(on);
    await claim(on);
    await settle(on, id, 1, { kind: "again", retryAfterMs: 60_000 });
    expect(await on.store.nextWebhook()).toBe(on.now().steadyMs + 60_000);
    on.pass(60_000);
    await claim(on);
    expect(await settle(on, id, 2, { kind: "given_up" })).toBe("failed");
    expect(await stateOf(on, id)).toEqual({ state: "failed", attempts: 2, dueBy: null });
  });

  check("is dropped when its job is deleted before it was sent, and goes with its job", async (on) => {
    const id = await ended(on);
    await on.execute("purge", { id });
    expect(await claim(on)).toEqual([]);
    expect(await on.store.webhook(id)).toBeNull();
    const kept = await ended(on);
    on.pass(1);
    await on.retain();
    expect(await on.store.find(kept)).toBeNull();
    expect(await on.store.webhook(kept)).toBeNull();
    expect(await on.store.nextWebhook()).toBeNull();
  });
}
