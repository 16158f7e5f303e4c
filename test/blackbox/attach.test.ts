/** attach, detach and ack: how a connection comes to a job's events and lets go of them (PROTOCOL section 5). */
import { describe, expect, test } from "bun:test";
import { connect, dial, type Client } from "../support/client.ts";
import { type Api, apiOf, lastingBody, newSession, tokensBody } from "../support/http.ts";
import { expectWhole } from "../support/log-checker.ts";
import { sharedServer, startServer } from "../support/server.ts";
import { until } from "../support/wait.ts";
import type { EventBody } from "../support/wire.ts";
import { expectShape } from "../support/shape.ts";

const server = sharedServer();

interface Scene {
  readonly api: Api;
  readonly job: string;
  readonly log: EventBody[];
  /** A later connection of the job's session, attached to nothing yet. */
  readonly client: Client;
}

/** An ended job whose session comes back. */
async function afterTheEnd(body: unknown = tokensBody({ tokens: 10, audioBytes: 8 })): Promise<Scene> {
  const api = await newSession(server());
  const { id } = await api.submit(body);
  await api.finished(id);
  return { api, job: id, log: await api.log(id), client: await connect(server(), { token: api.token }) };
}

describe("attach (section 5)", () => {
  test("is answered by attached, then everything from the start", async () => {
    const { job, log, client } = await afterTheEnd();
    const attached = await client.attach(job);
    expect(attached).toEqual({
      type: "attached",
      re: attached.re ?? "",
      job,
      after: 0,
      head: log.length,
      oldest: 1,
      status: "succeeded",
      attempt: 1,
      terminal: true,
      recovered: true,
    });
    await client.waitForEnd(job);
    expectWhole(log, [{ after: 0, events: client.events(job) }]);
    expect(client.frames().findIndex(({ type }) => type === "attached")).toBeLessThan(
      client.frames().findIndex(({ type }) => type === "event"),
    );
    await client.close();
  });

  test("after any seq gives what follows it", async () => {
    const { job, log, client } = await afterTheEnd();
    for (const after of [1, 2, 7, log.length - 1]) {
      await using again = await connect(server(), { token: client.token });
      expect(await again.attach(job, after)).toMatchObject({
        type: "attached",
        after,
        head: log.length,
        recovered: true,
      });
      await again.waitForEnd(job);
      const events = again.events(job);
      expectWhole(log, [{ after, events }]);
      expect(events.at(-1)?.seq).toBe(log.length);
    }
  });

  test("after the head of an ended job gives attached and no event", async () => {
    const { job, log, client } = await afterTheEnd();
    expect(await client.attach(job, log.length)).toMatchObject({
      terminal: true,
      recovered: true,
      after: log.length,
    });
    await client.settle();
    expect(client.events(job)).toEqual([]);
    await client.close();
  });

  test("ahead of the log is told so: recovered false, reason ahead, the output, and the log goes on from its seq", async () => {
    const api = await newSession(server());
    const { id } = await api.submit(tokensBody({ tokens: 30, size: 4, intervalMs: 50 }));
    await using client = await connect(server(), { token: api.token });
    const attached = await client.attach(id, 5000);
    expect(attached).toMatchObject({ type: "attached", recovered: false, reason: "ahead", after: 5000 });
    const output = attached.output;
    if (output === undefined) throw new Error("no output");
    expectShape(output, {
      text: expect.any(String),
      seq: expect.any(Number),
      attempt: expect.any(Number),
    });
    await client.waitForEnd(id);
    const log = await api.log(id);
    expectWhole(log, [{ after: output.seq, events: client.events(id) }]);
    const rest = client
      .events(id)
      .map(({ data }) => data.delta ?? "")
      .join("");
    expect(output.text + rest).toBe((await api.output(id)).text);
  });

  test("faults/R37 to a running job replays and goes on live without a seam", async () => {
    const api = await newSession(server());
    const { id } = await api.submit(tokensBody({ tokens: 400, size: 6, intervalMs: 1 }));
    const clients: Client[] = [];
    for (let n = 0; n < 6; n += 1) {
      const client = await connect(server(), { token: api.token });
      await client.attach(id);
      await client.waitForEvent(id, "an event", () => true);
      clients.push(client);
    }
    await api.finished(id);
    await clients.at(-1)?.waitForEnd(id);
    const log = await api.log(id);
    expectWhole(
      log,
      clients.map((client) => ({ after: 0, events: client.events(id) })),
    );
    expect(clients.at(-1)?.events(id).at(-1)?.seq).toBe(log.length);
  });

  test("may be sent at once, without waiting for welcome", async () => {
    const { api, job, log } = await afterTheEnd();
    await using client = dial(server(), {
      token: api.token,
      firstFrames: [{ type: "attach", job, id: "early" }],
    });
    expect(await client.waitFor("attached", ({ re }) => re === "early")).toMatchObject({ type: "attached" });
    await client.waitForEnd(job);
    expect(client.frames()[0]?.type).toBe("welcome");
    expectWhole(log, [{ after: 0, events: client.events(job) }]);
  });

  test("needs no id; the answer then has no re", async () => {
    const { job, client } = await afterTheEnd();
    client.send({ type: "attach", job });
    const attached = await client.waitFor("attached", ({ type }) => type === "attached");
    expect(attached).not.toHaveProperty("re");
    await client.close();
  });

  test("by a later session of the same user is refused in open mode, where each session is another user", async () => {
    const { job } = await afterTheEnd();
    await using stranger = await connect(server());
    expect(await stranger.attach(job)).toMatchObject({ type: "error", code: "not_found", retryable: false });
  });

  test("to an unknown job, to nonsense: error not_found with re and detail", async () => {
    await using client = await connect(server());
    for (const job of [Bun.randomUUIDv7(), "nonsense", ""]) {
      const answer = await client.attach(job);
      expectShape(answer, { type: "error", code: "not_found", detail: expect.stringMatching(/./) });
    }
  });

  test("beyond attachments is error rate_limited; a sent terminal event or a detach frees a place", async () => {
    await using small = await startServer({ env: { HOLDLINE_ATTACHMENTS_MAX: "2" } });
    const api = await newSession(small);
    const jobs: string[] = [];
    for (let n = 0; n < 3; n += 1) jobs.push((await api.submit(lastingBody())).id);
    const [first = "", second = "", third = ""] = jobs;
    await using client = await connect(small, { token: api.token });
    expect(client.welcome.limits?.attachments).toBe(2);
    expect(await client.attach(first)).toMatchObject({ type: "attached" });
    expect(await client.attach(second)).toMatchObject({ type: "attached" });
    expect(await client.attach(third)).toMatchObject({ type: "error", code: "rate_limited" });
    await api.cancel(first);
    await client.waitForEnd(first);
    expect(await client.attach(third)).toMatchObject({ type: "attached" });
    await client.ask({ type: "detach", job: second });
    const fourth = await api.submit(tokensBody());
    await client.waitForEnd(fourth.id);
  });
});

describe("detach (section 5)", () => {
  test("stops the events of that job; a later attach goes on from its cursor", async () => {
    await using client = await connect(server());
    const api = apiOf(server(), client.token);
    const { id } = await api.submit(tokensBody({ tokens: 40, intervalMs: 25 }));
    await client.waitForEvent(id, "text", ({ kind }) => kind === "output.text");
    expect(await client.ask({ type: "detach", job: id })).toMatchObject({ type: "ok" });
    const before = client.events(id);
    const cursor = before.at(-1)?.seq ?? 0;
    await until("the log to grow", async () => (await api.job(id)).head > cursor + 3);
    await client.settle();
    expect(client.events(id)).toHaveLength(before.length);
    await client.attach(id, cursor);
    await client.waitForEnd(id);
    expectWhole(await api.log(id), [{ after: 0, events: client.events(id) }]);
  });
});

describe("ack (section 5)", () => {
  test("is answered ok if it has an id and not at all without", async () => {
    const { job, log, client } = await afterTheEnd();
    await client.attach(job);
    await client.waitForEnd(job);
    client.send({ type: "ack", job, seq: 1 });
    expect(await client.ask({ type: "ack", job, seq: 2 })).toEqual({
      type: "ok",
      re: expect.any(String) as string,
    });
    expect(client.frames("ok")).toHaveLength(1);
    expect(log.length).toBeGreaterThan(2);
    await client.close();
  });

  test("of the terminal event is the receipt: deliveredAt is set, the next welcome no longer lists the job", async () => {
    const { api, job, log, client } = await afterTheEnd();
    expect(client.welcome.jobs?.map(({ id }) => id)).toEqual([job]);
    await client.attach(job);
    await client.waitForEnd(job);
    await client.ask({ type: "ack", job, seq: log.length - 1 });
    expect((await api.job(job)).deliveredAt).toBeUndefined();
    await client.ask({ type: "ack", job, seq: log.length });
    const { deliveredAt } = await until("the receipt", async () => {
      const read = await api.job(job);
      return read.deliveredAt !== undefined && read;
    });
    expect(deliveredAt).toMatch(/^\d{4}-.*Z$/);
    await using again = await connect(server(), { token: client.token });
    expect(again.welcome.jobs).toEqual([]);
  });

  test("is cumulative: a smaller one afterwards takes nothing back", async () => {
    const { job, log, client } = await afterTheEnd();
    await client.ask({ type: "ack", job, seq: log.length });
    await client.ask({ type: "ack", job, seq: 1 });
    await using again = await connect(server(), { token: client.token });
    expect(again.welcome.jobs).toEqual([]);
  });
});
