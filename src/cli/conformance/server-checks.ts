/** What a worker may expect of a server (PROTOCOL section 6), asked of one that runs. */
import { LIMITS } from "../../protocol/limits.ts";
import type { LeasedJobObject, LeaseStateObject } from "../../protocol/workers.ts";
import { expectThat, type Check } from "./check.ts";

export interface ServerUnderTest {
  readonly url: string;
  /** A worker token whose scope holds the type. */
  readonly token: string;
  /** Of whoever submits the jobs; null: a session is opened, which open mode allows. */
  readonly userToken: string | null;
  /** A type that remote workers serve and nobody else works on meanwhile. */
  readonly type: string;
  /** Input for jobs of that type. */
  readonly input: unknown;
  /** Steady, for measuring. */
  readonly nowMs: () => number;
}

interface Answer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

const NAME = "conformance";
const SOON_MS = 2000;
const LINES = "application/x-ndjson";
const text = (delta: string): string => `${JSON.stringify({ kind: "output.text", data: { delta } })}\n`;

async function ask(url: string, init: RequestInit): Promise<Answer> {
  const response = await fetch(url, { ...init, redirect: "manual" });
  const body = await response.text();
  const isJson = /[/+]json/.test(response.headers.get("content-type") ?? "");
  return { status: response.status, body: isJson ? (JSON.parse(body) as Answer["body"]) : {} };
}

/** The server as its user and as its worker see it. */
function createSides({ url, token, userToken, type, input }: ServerUnderTest) {
  let user = userToken;
  const json = (
    credential: string | null,
    body: unknown,
    headers: Record<string, string> = {},
  ): RequestInit => ({
    method: "POST",
    headers: {
      "Content-Type": "application/json",
      ...(credential === null ? {} : { Authorization: `Bearer ${credential}` }),
      ...headers,
    },
    body: JSON.stringify(body),
  });
  const asUser = async (): Promise<string> => {
    if (user !== null) return user;
    const opened = await ask(`${url}/v1/sessions`, { method: "POST" });
    expectThat(opened.status === 201, "a session is opened (or --user-token is needed)", opened.status);
    return (user = String(opened.body["token"]));
  };
  const worker = (path: string, body: unknown, headers?: Record<string, string>): Promise<Answer> =>
    ask(`${url}/v1/worker/${path}`, json(token, body, headers));
  const lease = (waitMs: number): Promise<Answer> =>
    worker("lease", { worker: NAME, types: [type], max: 1, waitMs });
  return {
    worker,
    lease,
    async submit(options: Record<string, unknown> = {}): Promise<string> {
      const answer = await ask(`${url}/v1/jobs`, json(await asUser(), { type, input, ...options }));
      expectThat(answer.status === 202, "a job is accepted", answer);
      return String(answer.body["id"]);
    },
    async read(path: string): Promise<Answer["body"]> {
      const headers = { Authorization: `Bearer ${await asUser()}` };
      return (await ask(`${url}/v1/jobs/${path}`, { headers })).body;
    },
    async cancel(id: string): Promise<void> {
      await ask(`${url}/v1/jobs/${id}/cancel`, json(await asUser(), {}));
    },
    output: (job: LeasedJobObject, first: number, body: BodyInit, mediaType = LINES): Promise<Answer> =>
      ask(`${url}/v1/worker/jobs/${job.id}/output`, {
        method: "POST",
        headers: {
          Authorization: `Bearer ${token}`,
          "Content-Type": mediaType,
          "Holdline-Lease": job.leaseToken,
          "Holdline-Item": String(first),
        },
        body,
      }),
    end: (job: LeasedJobObject, how: string, body: unknown = {}): Promise<Answer> =>
      worker(`jobs/${job.id}/${how}`, body, { "Holdline-Lease": job.leaseToken }),
    async beat(job: LeasedJobObject, more: Record<string, unknown> = {}): Promise<LeaseStateObject> {
      const leases = [{ job: job.id, leaseToken: job.leaseToken, ...more }];
      const { status, body } = await worker("heartbeat", { worker: NAME, leases });
      expectThat(status === 200, "a heartbeat is answered with 200", status);
      return (body["leases"] as LeaseStateObject[])[0] as LeaseStateObject;
    },
  };
}

type Sides = ReturnType<typeof createSides>;

function jobOf({ status, body }: Answer): LeasedJobObject {
  const [job] = (body["jobs"] ?? []) as LeasedJobObject[];
  expectThat(status === 200 && job !== undefined, "a job is leased", { status, body });
  return job;
}

/** A job, its lease, and a first heartbeat. */
async function taken(on: Sides, options?: Record<string, unknown>): Promise<LeasedJobObject> {
  await on.submit(options);
  const job = jobOf(await on.lease(10_000));
  await on.beat(job);
  return job;
}

function expectCode({ status, body }: Answer, wanted: number, code: string): void {
  expectThat(status === wanted && body["code"] === code, `${wanted} ${code}`, { status, code: body["code"] });
}

/** The checks, in an order in which each leaves nothing behind for the next. */
export function serverChecks(server: ServerUnderTest): readonly Check[] {
  const on = createSides(server);
  const check = (name: string, run: () => Promise<void>): Check => ({ name, run });
  return [
    check("a poll without a job is 204", async () => {
      const { status } = await on.lease(0);
      expectThat(status === 204, "204 (does somebody else submit jobs of this type?)", status);
    }),
    check("a poll that waits gets the job of a submit at once", async () => {
      const poll = on.lease(20_000);
      const id = await on.submit();
      const begun = server.nowMs();
      const job = jobOf(await poll);
      expectThat(job.id === id && job.attempt === 1, "the job that was submitted, as its first run", job);
      expectThat(job.leaseMs > 0 && job.timeoutMs > 0, "leaseMs and timeoutMs", job);
      expectThat(
        JSON.stringify(job.input) === JSON.stringify(server.input),
        "the input as it was submitted",
        job,
      );
      expectThat(server.nowMs() - begun < SOON_MS, `an answer within ${SOON_MS} ms`);
      await on.end(job, "complete", { result: null });
    }),
    check("a type that workers do not serve is 422, or 403 outside the token's scope", async () => {
      const { status } = await on.worker("lease", { worker: NAME, types: ["chat"], max: 1, waitMs: 0 });
      expectThat(status === 422 || status === 403, "422 or 403", status);
    }),
    check("a wish that is none is 400", async () => {
      expectCode(await on.worker("lease", { worker: NAME, types: [] }), 400, "invalid_request");
    }),
    check("items are taken once, and a gap is 409 item_gap with next", async () => {
      const job = await taken(on);
      const lines = text("a") + text("b");
      for (const _ of [1, 2]) {
        const { body } = await on.output(job, 0, lines);
        expectThat(body["next"] === 2, "next is 2", body);
      }
      const gap = await on.output(job, 3, text("d"));
      expectCode(gap, 409, "item_gap");
      expectThat(gap.body["next"] === 2, "next is 2", gap.body);
      await on.output(job, 1, text("b") + text("c"));
      const { text: whole } = await on.read(`${job.id}/output`);
      expectThat(whole === "abc", "the text abc", whole);
      await on.end(job, "complete", { result: null });
    }),
    check("a bad line is 400 with next, and the lines before it stay", async () => {
      const job = await taken(on);
      const answer = await on.output(job, 0, `${text("a")}{"kind":"nonsense"}\n${text("b")}`);
      expectCode(answer, 400, "invalid_request");
      expectThat(answer.body["next"] === 1, "next is 1", answer.body);
      await on.end(job, "complete", { result: null });
    }),
    check("a streamed body is committed line by line", async () => {
      const job = await taken(on);
      let stream: ReadableStreamDefaultController<Uint8Array> | undefined;
      const body = new ReadableStream<Uint8Array>({ start: (controller) => void (stream = controller) });
      const answer = on.output(job, 0, body);
      for (const delta of ["one", "two"]) {
        stream?.enqueue(new TextEncoder().encode(text(delta)));
        let seen = "";
        for (const begun = server.nowMs(); !seen.endsWith(delta) && server.nowMs() - begun < SOON_MS;) {
          seen = String((await on.read(`${job.id}/output`))["text"]);
        }
        expectThat(seen.endsWith(delta), `${delta} is seen while the body goes on`, seen);
      }
      stream?.close();
      const { status, body: said } = await answer;
      expectThat(status === 200 && said["next"] === 2, "200 and next is 2 at its end", { status, said });
      await on.end(job, "complete", { result: null });
    }),
    check("a chunk of audio is one item, after its format", async () => {
      const job = await taken(on);
      const format = {
        kind: "output.audio.format",
        data: { codec: "pcm_s16le", sampleRate: 16_000, channels: 1 },
      };
      await on.output(job, 0, `${JSON.stringify(format)}\n`);
      const { body } = await on.output(job, 1, new Uint8Array(200_000), "application/octet-stream");
      expectThat(body["next"] === 2, "next is 2", body);
      await on.end(job, "complete", { result: null });
    }),
    check("an end may be said again, another end may not", async () => {
      const job = await taken(on);
      for (const _ of [1, 2]) {
        const { status, body } = await on.end(job, "complete", { result: 1 });
        expectThat(status === 200 && body["status"] === "succeeded", "200 succeeded", { status, body });
      }
      expectCode(await on.end(job, "release"), 409, "lease_lost");
      expectCode(await on.output(job, 0, text("late")), 409, "lease_lost");
      expectThat((await on.beat(job)).status === "lost", "a heartbeat says lost");
    }),
    check("a lease that is not one's own is 409 lease_lost", async () => {
      const job = await taken(on);
      const wrong = { ...job, leaseToken: `${job.leaseToken}x` };
      expectCode(await on.end(wrong, "complete", { result: 0 }), 409, "lease_lost");
      await on.end(job, "complete", { result: null });
    }),
    check("a heartbeat tells a cancel, and the run ends as canceled", async () => {
      const job = await taken(on);
      await on.cancel(job.id);
      const told = await on.beat(job);
      expectThat(told.status === "cancel" && Number(told.stopWithinMs) > 0, "cancel with stopWithinMs", told);
      const { body } = await on.end(job, "release");
      expectThat(body["status"] === "canceled", "canceled", body);
    }),
    check("a released job is there again at once, with the checkpoint", async () => {
      const job = await taken(on);
      await on.beat(job, { checkpoint: { page: 3 } });
      await on.end(job, "release");
      const again = jobOf(await on.lease(10_000));
      expectThat(again.id === job.id && again.attempt === 2, "the same job as run 2", again);
      expectThat(JSON.stringify(again.checkpoint) === '{"page":3}', "the checkpoint", again.checkpoint);
      await on.end(again, "complete", { result: null });
    }),
    check("a failed run is retried or not, as it says", async () => {
      const job = await taken(on, { maxAttempts: 2 });
      const error = { code: "busy", message: "Once more.", retryable: true, retryAfterMs: 0 };
      const first = await on.end(job, "fail", error);
      expectThat(first.body["status"] === "retrying", "retrying", first.body);
      const last = await on.end(jobOf(await on.lease(10_000)), "fail", { ...error, retryable: false });
      expectThat(last.body["status"] === "failed", "failed", last.body);
    }),
    check("a lease that nobody was heard of goes back for free", async () => {
      const id = await on.submit();
      const job = jobOf(await on.lease(10_000));
      const again = jobOf(await on.lease(LIMITS.workerWaitMs));
      expectThat(again.id === id && again.attempt === 2, "the same job as run 2", again);
      expectCode(await on.end(job, "complete", { result: 0 }), 409, "lease_lost");
      await on.end(again, "complete", { result: null });
    }),
  ];
}
