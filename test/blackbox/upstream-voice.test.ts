/** `voice` on OpenAI-compatible upstreams: text and sound beside each other, whichever of the two is slow, dies or is interrupted. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { connect } from "../support/client.ts";
import type { Exchange } from "../support/endpoint.ts";
import { apiOf } from "../support/http.ts";
import { outline, textOf } from "../support/log-checker.ts";
import {
  CHAT,
  delta,
  END,
  first,
  PCM,
  refusal,
  sound,
  soundOf,
  SPEECH,
  startUpstreams,
  stream,
  turn,
  wishOf,
  type Answer,
  type Upstreams,
} from "../support/openai.ts";
import { expectShape } from "../support/shape.ts";
import { within } from "../support/wait.ts";
import type { EventBody } from "../support/wire.ts";

let upstreams: Upstreams;
beforeAll(async () => {
  upstreams = await startUpstreams({});
});
afterAll(() => upstreams.stop());

const dataOf = (log: readonly EventBody[]): unknown[] =>
  log.filter(({ kind }) => kind === "output.data").map(({ data }) => data);

/** A sound that says which sentence it is: so many samples as the sentence has characters, of its first character. */
const spelled = (input: string): Uint8Array => {
  const samples = Buffer.alloc(2 * input.length);
  for (let at = 0; at < samples.length; at += 2) samples.writeInt16LE(input.charCodeAt(0), at);
  return samples;
};
const spell: Answer = (exchange, n) => sound([spelled(wishOf(exchange).input ?? "")])(exchange, n);
const unspelled = (log: readonly EventBody[]): string => {
  const samples = Buffer.concat(soundOf(log));
  const letters = [];
  for (let at = 0; at < samples.length; at += 2) letters.push(String.fromCharCode(samples.readInt16LE(at)));
  return letters.join("").replaceAll(/(.)\1*/gu, "$1");
};

/** A chat that writes sentence by sentence, each when `go` says so. */
function writing(name: string, sentences: readonly string[], go: (n: number) => Promise<unknown>): void {
  upstreams.answers.set(`chat ${name}`, async (exchange) => {
    exchange.head("200 OK", "Content-Type: text/event-stream", "Transfer-Encoding: chunked");
    for (const [n, sentence] of sentences.entries()) {
      await go(n);
      exchange.chunk(delta(sentence));
    }
    exchange.chunk(END);
    exchange.chunk();
  });
}
const voiceOf = (name: string, options: Record<string, unknown> = {}) => ({
  type: "voice",
  input: { messages: [{ role: "user", content: "Hi" }], model: name, voice: name },
  ...options,
});
const SENTENCES = ["Alpha is one. ", "Bravo is two. ", "Charlie is three. ", "Delta is four."];
const TEXT = SENTENCES.join("");

test("a sentence is asked for while the next is written, and heard in the order of the text", async () => {
  // Each sentence is only written once the one two before it has been asked for.
  writing("aloud", SENTENCES, (n) => (n < 2 ? Promise.resolve() : upstreams.asked(SPEECH, "aloud", n - 1)));
  upstreams.answers.set("speech aloud", spell);
  const { job, log } = await upstreams.ended(voiceOf("aloud"));
  expectShape(job.result, { text: TEXT, model: "up-1", spokenTo: TEXT.length });
  expect(textOf(log)).toBe(TEXT);
  expect(unspelled(log)).toBe("ABCD");
  const spoken = dataOf(log) as { speech: { from: number; to: number; startMs: number } }[];
  expect(spoken.map(({ speech }) => TEXT.slice(speech.from, speech.to))).toEqual(
    SENTENCES.map((sentence) => sentence.trim()),
  );
  let samples = 0;
  for (const { speech } of spoken) {
    expect(speech.startMs).toBe(Math.round(samples / 24));
    samples += speech.to - speech.from;
  }
});

test.each([
  ["is cut", (exchange: Exchange) => sound([PCM.subarray(0, 480)], "cut")(exchange, 1), "broke off"],
  ["refuses", (exchange: Exchange) => refusal("400 Bad Request")(exchange, 1), "answered 400"],
  ["hangs up", ({ end }: Exchange) => end(), "cannot be reached"],
])("a speech upstream that %s midway ends the sound and not the text", async (what, dies, reason) => {
  const name = `dies ${what}`;
  writing(name, SENTENCES, () => turn());
  upstreams.answers.set(`speech ${name}`, (exchange, n) =>
    wishOf(exchange).input?.startsWith("Alpha") === true ? spell(exchange, n) : dies(exchange),
  );
  const { job, log } = await upstreams.ended(voiceOf(name));
  expect(job).toMatchObject({ status: "succeeded", attempt: 1 });
  expectShape(job.result, { text: TEXT, spokenTo: "Alpha is one.".length });
  expect(textOf(log)).toBe(TEXT);
  expectShape(dataOf(log).at(-1), { speech: { failed: expect.stringContaining(reason) } });
});

test("a speech upstream slower than the job's idle limit ends the sound and not the text", async () => {
  writing("too slow", SENTENCES, () => turn());
  upstreams.answers.set("speech too slow", (exchange, n) =>
    wishOf(exchange).input?.startsWith("Alpha") === true ? spell(exchange, n) : undefined,
  );
  const { job, log } = await upstreams.ended(voiceOf("too slow"), { idleMs: 600, maxAttempts: 1 });
  expect(job).toMatchObject({ status: "succeeded", attempt: 1 });
  expectShape(job.result, { text: TEXT, spokenTo: "Alpha is one.".length });
  expectShape(dataOf(log).at(-1), { speech: { failed: "The speech upstream fell silent." } });
});

test("the text does not wait for a slow speech upstream, and its sound comes whole and in order", async () => {
  const written = Promise.withResolvers<void>();
  writing("slow", SENTENCES, () => turn());
  upstreams.answers.set("speech slow", async (exchange, n) => {
    await written.promise;
    await spell(exchange, n);
  });
  await using client = await connect(upstreams.server);
  const { id } = await apiOf(upstreams.server, client.token).submit(voiceOf("slow"));
  const last = (text: string) => text.endsWith("four.");
  await client.waitForEvent(id, "all text", () =>
    last(
      client
        .events(id)
        .map(({ kind, data }) => (kind === "output.text" ? data.delta : ""))
        .join(""),
    ),
  );
  expect(client.events(id).some(({ kind }) => kind === "output.audio")).toBe(false);
  written.resolve();
  await client.waitForEnd(id);
  const log = await apiOf(upstreams.server, client.token).log(id);
  expect(unspelled(log)).toBe("ABCD");
  expect(outline(log).filter((kind) => kind === "output.audio.format")).toHaveLength(1);
});

test("an interruption closes both requests, says what was spoken, and the next voice is heard", async () => {
  writing("before", SENTENCES, (n) => (n < 3 ? turn() : new Promise(() => undefined)));
  upstreams.answers.set("speech before", (exchange, n) =>
    wishOf(exchange).input?.startsWith("Alpha") === true
      ? spell(exchange, n)
      : sound([PCM], "open")(exchange, n),
  );
  writing("after", ["Echo is next."], () => turn());
  upstreams.answers.set("speech after", spell);
  await using client = await connect(upstreams.server);
  const own = apiOf(upstreams.server, client.token);
  const { id } = await own.submit(voiceOf("before", { lane: "voice" }));
  await client.waitForEvent(id, "the second sentence", ({ kind, data }) => {
    const { speech } = data as { speech?: { from?: number } };
    return kind === "output.data" && (speech?.from ?? 0) > 0;
  });
  const open = [
    ...(await upstreams.asked(CHAT, "before", 1)),
    ...(await upstreams.asked(SPEECH, "before", 2)).slice(1),
  ];
  const next = await own.submit(voiceOf("after", { lane: "voice" }));
  await within("the end of both requests", Promise.all(open.map(({ gone }) => gone)));
  expect((await client.waitForEnd(id)).data).toEqual({ reason: "lane" } as never);
  await client.waitForEnd(next.id);
  expect(unspelled(await own.log(next.id))).toBe("E");
  const { data } = await own.output(id);
  expectShape(data, [
    { speech: { from: 0, to: 13, startMs: 0 } },
    { speech: { from: 14, to: 27, startMs: 1 } },
  ]);
});

test("a text that is cut is written and spoken anew", async () => {
  upstreams.answers.set(
    "chat anew",
    first(
      stream([delta("Zulu was wrong. "), delta("Yes")], "cut"),
      stream([delta("All "), delta("good."), END]),
    ),
  );
  upstreams.answers.set("speech anew", spell);
  const { job, log } = await upstreams.ended(voiceOf("anew"));
  expect(job).toMatchObject({
    status: "succeeded",
    attempt: 2,
    result: { text: "All good.", spokenTo: 9 },
  });
  expect(unspelled(log)).toBe("A");
});
