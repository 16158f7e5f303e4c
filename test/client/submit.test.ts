/** A job is handed in once, however often the network makes the client ask. */
import { expect, test } from "bun:test";
import { acceptNext, BODY, createScene, failure, reaches } from "./setup.ts";
import { JOB, jobObject } from "./scripted-server.ts";

const problem = (status: number, code: string, headers: Record<string, string> = {}): Response =>
  Response.json({ code, detail: `It is ${code}.`, status }, { status, headers });

test("a submit bears the session's token and an idempotency key, and waits for the session", async () => {
  await using scene = createScene();
  scene.client.connect();
  const job = scene.client.submit(BODY);
  expect(job.status).toBe("submitting");
  (await scene.server.connection()).welcome();
  const { request, body, respond } = await scene.server.requests.take();
  expect(request.headers.get("Authorization")).toBe("Bearer token-of-s1");
  expect(request.headers.get("Idempotency-Key")).toBe(`"${"80000000".repeat(4)}"`);
  expect(body).toEqual({ type: "chat", input: { messages: [{ role: "user", content: "Hello" }] } });
  respond(Response.json(jobObject(), { status: 202 }));
  expect(await job.accepted).toBe(JOB);
  expect(job.id).toBe(JOB);
});

test("a refusal for now is repeated with the same key, not sooner than asked", async () => {
  await using scene = createScene();
  await scene.online();
  const retries: unknown[] = [];
  const asked = Promise.withResolvers<void>();
  const job = scene.client.submit(BODY, {
    onRetry: (error, delayMs) => {
      retries.push([error.code, delayMs]);
      asked.resolve();
    },
  });
  const first = await scene.server.requests.take();
  first.respond(problem(503, "queue_full", { "Retry-After": "3" }));
  await asked.promise;
  expect(retries).toEqual([["queue_full", 3300]]);
  scene.clock.advance(3299);
  expect(scene.server.requests.size).toBe(0);
  scene.clock.advance(1);
  const again = await acceptNext(scene.server);
  expect(again.headers.get("Idempotency-Key")).toBe(first.request.headers.get("Idempotency-Key"));
  expect(await job.accepted).toBe(JOB);
});

test("an answer that stops in the middle is given up at its deadline, and asked for again with the same key", async () => {
  const begun = Promise.withResolvers<void>();
  const again = Promise.withResolvers<number>();
  await using scene = createScene({
    async fetch(url, init) {
      const response = await fetch(url, init);
      begun.resolve();
      return response;
    },
  });
  await scene.online();
  const job = scene.client.submit(BODY, { onRetry: (_error, delayMs) => again.resolve(delayMs) });
  const first = await scene.server.requests.take();
  const half = new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(new TextEncoder().encode('{"id":')),
  });
  first.respond(new Response(half, { status: 202, headers: { "Content-Type": "application/json" } }));
  await begun.promise;
  scene.clock.advance(30_000);
  scene.clock.advance(await again.promise);
  const second = await acceptNext(scene.server);
  expect(second.headers.get("Idempotency-Key")).toBe(first.request.headers.get("Idempotency-Key"));
  expect(await job.accepted).toBe(JOB);
});

test("a lost answer is asked for again, and an earlier acceptance is found by its key", async () => {
  const answers: (() => Promise<Response>)[] = [
    () => Promise.reject(new TypeError("connection reset")),
    () =>
      Promise.resolve(
        Response.json(jobObject(), { status: 202, headers: { "Idempotent-Replayed": "true" } }),
      ),
  ];
  const keys: (string | null)[] = [];
  const failed = Promise.withResolvers<void>();
  await using scene = createScene({
    fetch: (_url, init) => {
      keys.push(new Headers(init?.headers).get("Idempotency-Key"));
      return (answers.shift() ?? (() => Promise.reject(new Error("asked too often"))))();
    },
  });
  const peer = await scene.online();
  const job = scene.client.submit(BODY, { idempotencyKey: "order-7", onRetry: () => failed.resolve() });
  await failed.promise;
  scene.clock.advance(250);
  await job.accepted;
  expect(keys).toEqual([`"order-7"`, `"order-7"`]);
  // Nobody knows under which connection the first try was accepted: its events are asked for.
  const ask = await peer.next("attach");
  expect(ask).toMatchObject({ job: JOB, after: 0 });
});

test("an answer that does not come in time is given up and asked for again", async () => {
  await using scene = createScene();
  await scene.online();
  const codes: string[] = [];
  const failed = Promise.withResolvers<void>();
  scene.client.submit(BODY, {
    onRetry: (error) => {
      codes.push(error.code);
      failed.resolve();
    },
  });
  await scene.server.requests.take();
  scene.clock.advance(30_000);
  await failed.promise;
  expect(codes).toEqual(["network"]);
  scene.clock.advance(250);
  await acceptNext(scene.server);
});

test("a refusal for good is not repeated and names the field", async () => {
  await using scene = createScene();
  await scene.online();
  const job = scene.client.submit(BODY);
  const { respond } = await scene.server.requests.take();
  const errors = [{ pointer: "/input/messages", detail: "is empty" }];
  respond(Response.json({ code: "invalid_request", detail: "Bad.", errors }, { status: 400 }));
  expect(await failure(job.accepted)).toMatchObject({ code: "invalid_request", status: 400, errors });
  expect(await failure(job.result)).toMatchObject({ code: "invalid_request" });
  expect(scene.server.requests.size).toBe(0);
});

test("after twelve tries the last failure is the answer", async () => {
  let tries = 0;
  await using scene = createScene({
    fetch: () => {
      tries += 1;
      return Promise.resolve(problem(429, "rate_limited"));
    },
  });
  await scene.online();
  const job = scene.client.submit(BODY, {
    // The wait begins after this call: time moves on in the next turn.
    onRetry: (_error, delayMs) => queueMicrotask(() => scene.clock.advance(delayMs)),
  });
  expect(await failure(job.accepted)).toMatchObject({ code: "rate_limited", status: 429 });
  expect(tries).toBe(12);
});

test("a token that ran out is renewed by reconnecting, and the call repeated once", async () => {
  await using scene = createScene();
  await scene.online();
  const job = scene.client.submit(BODY);
  const first = await scene.server.requests.take();
  first.respond(problem(401, "token_expired"));
  const second = await scene.reconnect();
  second.welcome("s2", true);
  const again = await acceptNext(scene.server);
  expect(again.headers.get("Authorization")).toBe("Bearer token-of-s2");
  expect(again.headers.get("Idempotency-Key")).toBe(first.request.headers.get("Idempotency-Key"));
  expect(await job.accepted).toBe(JOB);
});

test("cancel asks the server, and the end comes as an event", async () => {
  await using scene = createScene();
  const peer = await scene.online();
  const job = scene.client.submit(BODY);
  await acceptNext(scene.server);
  peer.event(1, "job.queued", { position: 1 });
  await reaches(job, 1);
  const canceling = job.cancel();
  const { request, respond } = await scene.server.requests.take();
  expect([request.method, new URL(request.url).pathname]).toEqual(["POST", `/v1/jobs/${JOB}/cancel`]);
  respond(Response.json(jobObject(JOB, { status: "canceling" }), { status: 202 }));
  await canceling;
  expect(job.ended).toBeNull();
  peer.event(2, "job.canceled", { reason: "requested" });
  expect(await failure(job.result)).toMatchObject({ code: "canceled" });
  expect(job.ended).toEqual({ outcome: "canceled", reason: "requested" });
});

test("closing a handle gives up its submit and its iteration", async () => {
  const signals: (AbortSignal | null | undefined)[] = [];
  const asked = Promise.withResolvers<void>();
  await using scene = createScene({
    fetch: (_url, init) => {
      signals.push(init?.signal);
      asked.resolve();
      return new Promise(() => undefined);
    },
  });
  await scene.online();
  const job = scene.client.submit(BODY);
  const iterating = failure(Array.fromAsync(job));
  await asked.promise;
  job.close();
  expect(await failure(job.accepted)).toMatchObject({ code: "closed" });
  expect(await iterating).toMatchObject({ code: "closed" });
  expect(signals.map((signal) => signal?.aborted)).toEqual([true]);
});

test("two handles of one job are refused rather than left to disturb each other", async () => {
  await using scene = createScene();
  const peer = await scene.online();
  const job = scene.client.submit(BODY, { idempotencyKey: "k" });
  await acceptNext(scene.server);
  peer.event(1, "job.queued", { position: 1 });
  await reaches(job, 1);
  const twin = scene.client.submit(BODY, { idempotencyKey: "k" });
  await acceptNext(scene.server);
  expect(await failure(twin.accepted)).toMatchObject({ code: "already_followed" });
  expect(scene.client.job(JOB)).toBe(job);
});

test("nothing is handed in while the client is closed", async () => {
  await using scene = createScene();
  expect(await failure(scene.client.submit(BODY).accepted)).toMatchObject({ code: "closed" });
});
