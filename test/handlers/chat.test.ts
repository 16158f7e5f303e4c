/** The type `chat`: its input, how one job goes on from another, and how the engine's words become output. */
import { describe, expect, test } from "bun:test";
import { z } from "zod";
import {
  chatInputSchema,
  checkConversation,
  conversation,
  createChatHandler,
  HISTORY_CHARS,
  HISTORY_JOBS,
  type ChatInput,
} from "../../src/handlers/chat/chat.ts";
import type { ChatEngine, ChatRequest } from "../../src/handlers/chat/engine.ts";
import { JobError, type PreviousJob } from "../../src/handlers/handler.ts";
import { Refusal } from "../../src/protocol/error.ts";
import { createFakeJob, settle } from "./fake-job.ts";

const user = (content: string) => ({ role: "user", content }) as const;
const assistant = (content: string) => ({ role: "assistant", content }) as const;
const idOf = (n: number): string => `01890000-0000-7000-8000-${String(n).padStart(12, "0")}`;

function previousJob(n: number, before: number | null, options: Partial<PreviousJob> = {}): PreviousJob {
  const input = { messages: [user(`question ${n}`)] };
  return {
    id: idOf(n),
    type: "chat",
    input: before === null ? input : { ...input, previousJobId: idOf(before) },
    result: { text: `answer ${n}`, model: "m" },
    ...options,
  };
}

const lookup = (jobs: readonly PreviousJob[]) => (jobId: string) =>
  Promise.resolve(jobs.find((job) => job.id === jobId) ?? null);

describe("the input", () => {
  const good = { messages: [user("hi")] };
  const bad: [name: string, input: unknown, pointer: string][] = [
    ["no messages", {}, "/messages"],
    ["empty messages", { messages: [] }, "/messages"],
    ["201 messages", { messages: Array.from({ length: 201 }, () => user("x")) }, "/messages"],
    ["an unknown role", { messages: [{ role: "tool", content: "x" }] }, "/messages/0/role"],
    ["too long a content", { messages: [user("x".repeat(100_001))] }, "/messages/0/content"],
    ["a field too many in a message", { messages: [{ ...user("x"), name: "n" }] }, "/messages/0"],
    ["an assistant's last word", { messages: [user("x"), assistant("y")] }, "/messages/1/role"],
    ["a previousJobId that is no id", { ...good, previousJobId: "nonsense" }, "/previousJobId"],
    ["an empty model", { ...good, model: "" }, "/model"],
    ["a temperature over 2", { ...good, temperature: 2.1 }, "/temperature"],
    ["a temperature below 0", { ...good, temperature: -0.1 }, "/temperature"],
    ["maxTokens 0", { ...good, maxTokens: 0 }, "/maxTokens"],
    ["maxTokens over 100,000", { ...good, maxTokens: 100_001 }, "/maxTokens"],
    ["half a token", { ...good, maxTokens: 1.5 }, "/maxTokens"],
    ["an unknown field", { ...good, stream: true }, ""],
  ];
  test.each(bad)("%s is refused where it stands", (_, input, pointer) => {
    const paths = chatInputSchema.safeParse(input).error?.issues.map(({ path }) => path) ?? [];
    expect(paths.map((path) => path.map((step) => `/${String(step)}`).join(""))).toEqual([pointer]);
  });

  test("at its limits is taken as it is", () => {
    const input: ChatInput = {
      messages: [...Array.from({ length: 199 }, () => assistant("")), user("x".repeat(100_000))],
      previousJobId: idOf(1),
      model: "m",
      temperature: 2,
      maxTokens: 100_000,
    };
    expect(chatInputSchema.parse(input)).toEqual(input);
  });

  test("describes every field in its JSON Schema", () => {
    const { properties, required } = z.toJSONSchema(chatInputSchema);
    expect(required).toEqual(["messages"]);
    const described = Object.entries(properties ?? {}).map(([name, schema]) => [
      name,
      typeof schema === "object" && schema.description !== undefined,
    ]);
    expect(described).toEqual(
      ["messages", "previousJobId", "model", "temperature", "maxTokens"].map((name) => [name, true]),
    );
  });
});

describe("checkConversation", () => {
  const check = (previousJobId: string, jobs: readonly PreviousJob[]) =>
    checkConversation({ previousJobId }, { previous: lookup(jobs) });

  test.each([
    ["a job that is not there", []],
    ["a job of another type", [previousJob(1, null, { type: "speech" })]],
    ["a chat of somebody's own making", [previousJob(1, null, { result: { answer: "x" } })]],
  ])("refuses %s at /input/previousJobId", async (_, jobs) => {
    const refusal = await check(idOf(1), jobs).then(
      () => null,
      (error: unknown) => error,
    );
    expect(refusal).toBeInstanceOf(Refusal);
    expect(refusal).toMatchObject({ code: "invalid_request", errors: [{ pointer: "/input/previousJobId" }] });
  });

  test.each(["chat", "voice"])("takes a succeeded %s", async (type) => {
    expect(await check(idOf(1), [previousJob(1, null, { type })])).toBeUndefined();
  });

  test("asks for nothing when no job is named", async () => {
    const never = () => Promise.reject(new Error("asked"));
    expect(await checkConversation({}, { previous: never })).toBeUndefined();
  });
});

describe("conversation", () => {
  test("is the earlier jobs' messages and answers, oldest first, and then the new messages", async () => {
    const jobs = [
      previousJob(1, null, {
        input: { messages: [{ role: "system", content: "be brief" }, user("one")], voice: "slt" },
        type: "voice",
        result: { text: "ONE", model: "m", durationMs: 5 },
      }),
      previousJob(2, 1),
    ];
    const input = { messages: [assistant("by the way"), user("three")], previousJobId: idOf(2) };
    expect(await conversation(input, lookup(jobs))).toEqual([
      { role: "system", content: "be brief" },
      user("one"),
      assistant("ONE"),
      user("question 2"),
      assistant("answer 2"),
      assistant("by the way"),
      user("three"),
    ]);
  });

  test("goes back a hundred jobs and no further", async () => {
    const jobs = Array.from({ length: HISTORY_JOBS + 5 }, (_, n) => previousJob(n, n === 0 ? null : n - 1));
    let reads = 0;
    const messages = await conversation(
      { messages: [user("now")], previousJobId: idOf(HISTORY_JOBS + 4) },
      (jobId) => {
        reads += 1;
        return lookup(jobs)(jobId);
      },
    );
    expect(reads).toBe(HISTORY_JOBS);
    expect(messages).toHaveLength(2 * HISTORY_JOBS + 1);
    expect(messages[0]).toEqual(user("question 5"));
  });

  test("goes back a mebibyte of text and no further, dropping whole jobs", async () => {
    const half = "x".repeat(HISTORY_CHARS / 2 - 20);
    const jobs = [1, 2, 3].map((n) => previousJob(n, n - 1, { result: { text: half } }));
    const messages = await conversation({ messages: [user("now")], previousJobId: idOf(3) }, lookup(jobs));
    expect(messages.map(({ content }) => content.slice(0, 10))).toEqual([
      "question 2",
      "xxxxxxxxxx",
      "question 3",
      "xxxxxxxxxx",
      "now",
    ]);
  });

  test("begins after an older job that was deleted", async () => {
    const jobs = [previousJob(2, 1), previousJob(3, 2)];
    const messages = await conversation({ messages: [user("now")], previousJobId: idOf(3) }, lookup(jobs));
    expect(messages[0]).toEqual(user("question 2"));
  });

  test("fails for good when the job that was named is gone", async () => {
    const gone = conversation({ messages: [user("now")], previousJobId: idOf(1) }, lookup([]));
    const error = await gone.catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(JobError);
    expect(error).toMatchObject({ code: "previous_job_gone", retryable: false, origin: "input" });
  });
});

describe("a run", () => {
  function engineOf(
    words: readonly string[],
    outcome = { model: "m" },
  ): ChatEngine & { seen: ChatRequest[] } {
    const seen: ChatRequest[] = [];
    return {
      upstream: false,
      seen,
      async generate(request, write) {
        seen.push(request);
        for (const word of words) await write(word);
        return outcome;
      },
    };
  }

  test("writes what the engine writes, and its result is the whole of it", async () => {
    const fake = createFakeJob({ previous: [previousJob(1, null)] });
    const engine = engineOf(["Hel", "lo"], { model: "m", usage: { tokens: 2 } } as { model: string });
    const input = {
      messages: [user("hi")],
      previousJobId: idOf(1),
      model: "big",
      temperature: 0,
      maxTokens: 7,
    };
    expect(await createChatHandler(engine).run(fake.job, input)).toEqual({
      text: "Hello",
      model: "m",
      usage: { tokens: 2 },
    });
    expect(fake.texts()).toEqual(["Hel", "lo"]);
    expect(engine.seen).toEqual([
      {
        messages: [user("question 1"), assistant("answer 1"), user("hi")],
        model: "big",
        temperature: 0,
        maxTokens: 7,
        signal: fake.job.signal,
        traceparent: fake.job.traceparent,
      },
    ]);
  });

  test("lets the engine run ahead of the disk, but not without bound, and ends when all is committed", async () => {
    const fake = createFakeJob({ held: true });
    let ended = false;
    const running = createChatHandler(engineOf(Array.from({ length: 100 }, () => "word ")))
      .run(fake.job, { messages: [user("hi")] })
      .then(() => (ended = true));
    await settle();
    expect(fake.pending()).toBe(64);
    await fake.commit();
    expect(fake.pending()).toBe(36);
    expect(ended).toBe(false);
    await fake.commit();
    expect(await running).toBe(true);
  });

  test("ends with the error of a write that failed", async () => {
    const fake = createFakeJob({ held: true });
    const running = createChatHandler(engineOf(["one"])).run(fake.job, { messages: [user("hi")] });
    const ended = running.then(
      () => null,
      (error: unknown) => error,
    );
    await settle();
    const full = new Error("disk full");
    fake.fail(full);
    expect(await ended).toBe(full);
  });

  test("of an upstream is watched for silence by default, of the built-in engine is not", () => {
    const builtIn = createChatHandler(engineOf([]));
    const upstream = createChatHandler({ ...engineOf([]), upstream: true });
    expect([builtIn.firstOutputMs, builtIn.idleMs]).toEqual([undefined, undefined]);
    expect([upstream.firstOutputMs, upstream.idleMs]).toEqual([60_000, 30_000]);
  });
});
