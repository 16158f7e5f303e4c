/** `chat` on an OpenAI-compatible upstream, as a process of its own meets it: good ones, slow ones, broken ones, liars. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFile } from "node:fs/promises";
import { textOf } from "../support/log-checker.ts";
import {
  bytesOf,
  CHAT,
  chunked,
  delta,
  END,
  endless,
  event,
  first,
  moved,
  refusal,
  SECRET,
  startUpstreams,
  stream,
  turn,
  USAGE,
  type Answer,
  type Upstreams,
} from "../support/openai.ts";
import { expectShape } from "../support/shape.ts";
import { within } from "../support/wait.ts";

const MIB = 1024 * 1024;
const HALF = stream([delta("wrong "), delta("half")], "cut");
const GOOD = stream([delta("All "), delta("good."), END]);

const ANSWERS: Readonly<Record<string, Answer>> = {
  "chat good": GOOD,
  "chat drips": stream(
    bytesOf(
      `: hello\r\n\r\n${(delta("Grüße ") + delta("👋🏽, 世界") + delta("!") + END).replaceAll("\n", "\r\n")}`,
    ),
  ),
  "chat plain": chunked("application/json", [
    JSON.stringify({ model: "up-2", choices: [{ message: { content: "Whole." }, finish_reason: "stop" }] }),
  ]),
  "chat no-done": stream([delta("All good.", "stop")]),
  "chat cut": HALF,
  "chat short": ({ head, write, end }) => {
    head("200 OK", "Content-Type: text/event-stream", "Content-Length: 5000");
    write(delta("wrong half"));
    end();
  },
  "chat no-end": stream([delta("wrong half")]),
  "chat close-end": ({ head, write, end }) => {
    head("200 OK", "Content-Type: text/event-stream", "Connection: close");
    write(delta("wrong half"));
    end();
  },
  "chat html": chunked("text/html", [`<html>${SECRET}</html>`]),
  "chat html-stream": stream([`<html>${SECRET}</html>\n\n`]),
  "chat html-json": chunked("application/json", [`<html>${SECRET}</html>`]),
  "chat stream-json": chunked("application/json", [delta("Hi"), END]),
  "chat no-json": stream([delta("wrong "), "data: {oh no\n\n", END]),
  "chat error-inside": stream([delta("wrong "), event({ error: { message: SECRET, code: 500 } }), END]),
  "chat error-200": chunked("application/json", [JSON.stringify({ error: { message: SECRET } })]),
  "chat hangs": ({ end }) => end(),
  "chat huge-line": endless("200 OK", "text/event-stream", "x".repeat(65_536)),
  "chat huge-text": endless("200 OK", "text/event-stream", delta("x".repeat(60_000))),
  "chat huge-json": endless("200 OK", "application/json", " ".repeat(65_536)),
  "chat huge-html": endless("200 OK", "text/html", "<p>".repeat(20_000)),
  "chat huge-refusal": endless("400 Bad Request", "text/plain", "no ".repeat(20_000)),
  "chat 400": refusal("400 Bad Request"),
  "chat 401": refusal("401 Unauthorized", "Retry-After: 1"),
  "chat 403": refusal("403 Forbidden"),
  "chat 404": refusal("404 Not Found"),
  "chat 422": refusal("422 Unprocessable Content"),
  "chat 302": moved("302 Found"),
  "chat 307": moved("307 Temporary Redirect"),
  "chat then-good-429": first(refusal("429 Too Many Requests", "Retry-After: 1"), GOOD),
  "chat then-good-408": first(refusal("408 Request Timeout", "Retry-After: 0"), GOOD),
  "chat then-good-500": first(refusal("500 Internal Server Error", "Retry-After: 0"), GOOD),
  "chat then-good-503": first(refusal("503 Service Unavailable", "Retry-After: 0"), GOOD),
  "chat then-good-cut": first(HALF, GOOD),
  "chat silent": () => undefined,
  "chat only-comments": async (exchange) => {
    exchange.head("200 OK", "Content-Type: text/event-stream", "Transfer-Encoding: chunked");
    exchange.chunk(delta("Hel"));
    let open = true;
    void exchange.gone.then(() => (open = false));
    while (open) {
      exchange.chunk(": still here\n\n");
      await turn();
    }
  },
  "chat stalls": stream([delta("Hel")], "open"),
  "chat never-ends": async (exchange) => {
    exchange.head("200 OK", "Content-Type: text/event-stream", "Transfer-Encoding: chunked");
    let open = true;
    void exchange.gone.then(() => (open = false));
    while (open) {
      exchange.chunk(delta("."));
      await turn();
    }
  },
};

let upstreams: Upstreams;
beforeAll(async () => {
  upstreams = await startUpstreams(ANSWERS);
});
afterAll(() => upstreams.stop());

const chatOf = (model: string) => ({
  type: "chat",
  input: { messages: [{ role: "user", content: "Hi" }], model },
});

async function residentBytes(): Promise<number> {
  const status = await readFile(`/proc/${upstreams.server.pid}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) * 1024;
}

test("asks as the API wants it, with the key and the trace of the job", async () => {
  const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  const { id } = await upstreams.api.submit(
    { type: "chat", input: { messages: [{ role: "user", content: "Hi" }] } },
    {
      traceparent,
    },
  );
  await upstreams.api.finished(id);
  const [asked] = await upstreams.asked(CHAT, "good", 1);
  expect(asked?.headers.get("authorization")).toBe("Bearer sk-canary-of-the-writer");
  expect(asked?.headers.get("traceparent")).toMatch(/^00-4bf92f3577b34da6a3ce929d0e0e4736-[0-9a-f]{16}-01$/);
  expectShape(JSON.parse(asked?.body ?? ""), {
    model: "good",
    stream: true,
    stream_options: { include_usage: true },
    messages: [{ role: "user", content: "Hi" }],
  });
});

test.each([
  ["good", "All good.", { model: "up-1", usage: USAGE }],
  ["drips", "Grüße 👋🏽, 世界!", { model: "up-1", usage: USAGE }],
  ["plain", "Whole.", { model: "up-2" }],
  ["no-done", "All good.", { model: "up-1" }],
])("an answer that is %s is the text", async (model, text, more) => {
  const { job, log } = await upstreams.ended(chatOf(model));
  expect(job).toMatchObject({ status: "succeeded", attempt: 1, result: { text, ...more } });
  expect(textOf(log)).toBe(text);
});

const NAMES = Object.keys(ANSWERS).map((name) => name.replace("chat ", ""));
const broken = NAMES.slice(NAMES.indexOf("cut"), NAMES.indexOf("huge-line"));
test.each(broken)("an answer that is %s is never a success, and may be tried again", async (model) => {
  const { job } = await upstreams.ended(chatOf(model), { maxAttempts: 1 });
  expect(job).toMatchObject({
    status: "failed",
    error: { code: "upstream_error", retryable: true, origin: "upstream" },
  });
});

test("a gibibyte of anything ends the run and not the server", async () => {
  const before = await residentBytes();
  const huge = NAMES.filter((name) => name.startsWith("huge-"));
  const codes = await Promise.all(
    huge.map(async (model) => (await upstreams.ended(chatOf(model), { maxAttempts: 1 })).job.error?.code),
  );
  const refused = huge.map((name) => (name === "huge-refusal" ? "upstream_refused" : "upstream_error"));
  expect(codes).toEqual(refused);
  for (const name of huge)
    await within(`the end of ${name}`, (await upstreams.asked(CHAT, name, 1))[0]?.gone ?? Promise.reject());
  // Far below one of the five; 16 Mi characters of an answer are allowed, and the collector takes its time.
  expect((await residentBytes()) - before).toBeLessThan(300 * MIB);
}, 60_000);

test.each(["400", "401", "403", "404", "422", "302", "307"])("a %s is not tried again", async (model) => {
  const { job } = await upstreams.ended(chatOf(model));
  expect(job).toMatchObject({
    status: "failed",
    attempt: 1,
    error: { code: "upstream_refused", retryable: false, message: `The chat upstream answered ${model}.` },
  });
  expect(upstreams.tries(`chat ${model}`)).toBe(1);
});

test.each(["408", "429", "500", "503", "cut"])("after a %s the next run succeeds", async (what) => {
  const startedMs = performance.now();
  const { job, log } = await upstreams.ended(chatOf(`then-good-${what}`));
  expect(job).toMatchObject({ status: "succeeded", attempt: 2, result: { text: "All good." } });
  expect(textOf(log)).toBe("All good.");
  expect(log.find(({ kind }) => kind === "job.retrying")?.data).toMatchObject({
    reason: "error",
    error: { code: "upstream_error" },
    ...(what === "429" ? { delayMs: 1000 } : {}),
  });
  if (what === "429") expect(performance.now() - startedMs).toBeGreaterThanOrEqual(1000);
});

test.each([
  ["silent", { firstOutputMs: 200 }, "first_output_timeout"],
  ["stalls", { idleMs: 200 }, "idle_timeout"],
  ["only-comments", { idleMs: 200 }, "idle_timeout"],
  ["never-ends", { timeoutMs: 300 }, "timeout"],
])("one that is %s is given up at %j, and its connection closed", async (model, limits, code) => {
  const { job } = await upstreams.ended(chatOf(model), { ...limits, maxAttempts: 1 });
  expect(job).toMatchObject({ status: "failed", error: { code, retryable: true, origin: "timeout" } });
  const [asked] = await upstreams.asked(CHAT, model, 1);
  await within("the end of the connection", asked?.gone ?? Promise.reject());
});

test.each(["silent", "stalls"])("a cancel closes the connection to one that is %s", async (model) => {
  const before = upstreams.tries(`chat ${model}`);
  const { id } = await upstreams.api.submit(chatOf(model));
  const asked = (await upstreams.asked(CHAT, model, before + 1)).at(-1);
  await upstreams.api.cancel(id);
  await within("the end of the connection", asked?.gone ?? Promise.reject());
  expect((await upstreams.api.finished(id)).status).toBe("canceled");
});
