/** `speech` on an OpenAI-compatible upstream, as a process of its own meets it: good ones, slow ones, broken ones, liars. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import {
  chunked,
  endless,
  first,
  moved,
  PCM,
  refusal,
  SECRET,
  sound,
  soundOf,
  SPEECH,
  startUpstreams,
  type Answer,
  type Upstreams,
} from "../support/openai.ts";
import { expectShape } from "../support/shape.ts";
import { within } from "../support/wait.ts";

const HEARD = sound([PCM]);

const ANSWERS: Readonly<Record<string, Answer>> = {
  "speech good": HEARD,
  "speech drips": sound([...PCM].map((byte) => Uint8Array.of(byte))),
  "speech cut": sound([PCM], "cut"),
  "speech short": ({ head, write, end }) => {
    head("200 OK", "Content-Type: audio/pcm", "Content-Length: 20000");
    write(PCM);
    end();
  },
  "speech odd": sound([PCM.subarray(0, 9599)]),
  "speech empty": ({ head }) => head("200 OK", "Content-Type: audio/pcm", "Content-Length: 0"),
  "speech html": chunked("text/html", [`<html>${SECRET}</html>`]),
  "speech error-200": chunked("application/json", [JSON.stringify({ error: { message: SECRET } })]),
  "speech 400": refusal("400 Bad Request"),
  "speech 401": refusal("401 Unauthorized"),
  "speech 302": moved("302 Found"),
  "speech then-good-429": first(refusal("429 Too Many Requests", "Retry-After: 1"), HEARD),
  "speech then-good-500": first(refusal("500 Internal Server Error", "Retry-After: 0"), HEARD),
  "speech then-good-cut": first(sound([new Uint8Array(9600).fill(1)], "cut"), HEARD),
  "speech endless": endless("200 OK", "audio/pcm", "xy".repeat(30_000)),
  "speech silent": () => undefined,
  "speech stalls": sound([PCM], "open"),
};

let upstreams: Upstreams;
beforeAll(async () => {
  upstreams = await startUpstreams(ANSWERS);
});
afterAll(() => upstreams.stop());

const speechOf = (voice: string) => ({ type: "speech", input: { text: "Hello.", voice } });

test.each(["good", "drips"])("an answer that is %s is the sound, in whole samples", async (voice) => {
  const { job, log } = await upstreams.ended(speechOf(voice));
  expectShape(job.result, { durationMs: 200, bytes: 9600, voice });
  expect(Buffer.concat(soundOf(log))).toEqual(Buffer.from(PCM));
  expect(soundOf(log).every(({ length }) => length % 2 === 0)).toBe(true);
  const [asked] = await upstreams.asked(SPEECH, voice, 1);
  expect(asked?.headers.get("authorization")).toBe("Bearer sk-canary-of-the-speaker");
  expect(asked?.headers.get("traceparent")).toContain(job.traceId);
  expectShape(JSON.parse(asked?.body ?? ""), { input: "Hello.", voice, response_format: "pcm" });
});

test.each(["cut", "short", "odd", "empty", "html", "error-200"])(
  "an answer that is %s is never a success, and may be tried again",
  async (voice) => {
    const { job } = await upstreams.ended(speechOf(voice), { maxAttempts: 1 });
    expect(job).toMatchObject({
      status: "failed",
      error: { code: "upstream_error", retryable: true, origin: "upstream" },
    });
  },
);

test.each(["400", "401", "302"])("a %s is not tried again", async (voice) => {
  const { job } = await upstreams.ended(speechOf(voice));
  expect(job).toMatchObject({ attempt: 1, error: { code: "upstream_refused", retryable: false } });
  expect(upstreams.tries(`speech ${voice}`)).toBe(1);
});

test.each(["429", "500", "cut"])("after a %s the next run succeeds", async (what) => {
  const { job, log } = await upstreams.ended(speechOf(`then-good-${what}`));
  expect(job).toMatchObject({ status: "succeeded", attempt: 2, result: { bytes: 9600 } });
  expect(Buffer.concat(soundOf(log)).length).toBe(9600);
  if (what === "429")
    expect(log.find(({ kind }) => kind === "job.retrying")?.data).toMatchObject({ delayMs: 1000 });
});

test("a gibibyte of sound ends at the bound of a job's log", async () => {
  const { job } = await upstreams.ended(speechOf("endless"), { maxAttempts: 1 });
  expect(job.error?.code).toBe("output_too_large");
  const [asked] = await upstreams.asked(SPEECH, "endless", 1);
  await within("the end of the connection", asked?.gone ?? Promise.reject());
}, 60_000);

test.each([
  ["silent", { firstOutputMs: 200 }, "first_output_timeout"],
  ["stalls", { idleMs: 200 }, "idle_timeout"],
])("one that is %s is given up at %j, and its connection closed", async (voice, limits, code) => {
  const { job } = await upstreams.ended(speechOf(voice), { ...limits, maxAttempts: 1 });
  expect(job.error).toMatchObject({ code, retryable: true });
  const [asked] = await upstreams.asked(SPEECH, voice, 1);
  await within("the end of the connection", asked?.gone ?? Promise.reject());
});

test("the watchdogs of types that ask an upstream are 60 s and 30 s where nothing else is said", async () => {
  type Limits = { firstOutputMs: number; idleMs: number };
  const { body } = await upstreams.api.call<{ items: { type: string; limits: Limits }[] }>(
    "GET",
    "/v1/types",
  );
  for (const type of ["chat", "speech", "voice"]) {
    const limits = body.items.find((item) => item.type === type)?.limits;
    expect(limits).toMatchObject({ firstOutputMs: 60_000, idleMs: 30_000 });
  }
});
