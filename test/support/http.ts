/** The HTTP API as a test calls it: one function per call that many tests make, `call` for the rest. */
import { expect } from "bun:test";
import { until } from "./wait.ts";
import type { EventBody, EventsPage, JobBody, OutputBody, ProblemBody, SessionCreatedBody } from "./wire.ts";

export interface Answer<Body> {
  readonly status: number;
  readonly headers: Headers;
  /** The parsed JSON, or an empty object for an empty or other body. */
  readonly body: Body;
  readonly text: string;
}

export interface CallOptions {
  readonly headers?: Record<string, string>;
  /** Sent as JSON with its content type. */
  readonly json?: unknown;
  /** Sent as it is. */
  readonly body?: BodyInit;
}

/** A fetch that keeps to this one request: no redirect is followed, no connection is left over for the next process. */
export async function call<Body = ProblemBody>(
  method: string,
  url: string,
  options: CallOptions = {},
): Promise<Answer<Body>> {
  const headers = new Headers(options.headers);
  if (options.json !== undefined && !headers.has("content-type"))
    headers.set("content-type", "application/json");
  const body = options.json === undefined ? options.body : JSON.stringify(options.json);
  const response = await fetch(url, {
    method,
    headers,
    redirect: "manual",
    keepalive: false,
    ...(body === undefined ? {} : { body }),
  });
  const text = await response.text();
  const isJson = /\bjson\b/.test(response.headers.get("content-type") ?? "") && text !== "";
  return {
    status: response.status,
    headers: response.headers,
    body: (isJson && !/ndjson/.test(response.headers.get("content-type") ?? "")
      ? JSON.parse(text)
      : {}) as Body,
    text,
  };
}

export interface TokensInput {
  tokens: number;
  size: number;
  intervalMs: number;
  audioBytes?: number;
  failAt?: number;
  failTimes?: number;
  crashAt?: number;
  crashTimes?: number;
}

/** A `tokens` job that is over at once, unless told otherwise. */
export function tokensBody(input: Partial<TokensInput> = {}, options: Record<string, unknown> = {}) {
  return { type: "tokens", input: { tokens: 3, size: 4, intervalMs: 0, ...input }, ...options };
}

/** A `tokens` job that says its first words at once and then nothing more for as long as any test lasts. */
export function lastingBody(options: Record<string, unknown> = {}) {
  return tokensBody({ tokens: 100, intervalMs: 60_000 }, options);
}

/** A job, or the problem in its place. */
export type JobAnswer = JobBody & Omit<ProblemBody, keyof JobBody>;

/** The API as the holder of `token` sees it. */
export interface Api {
  readonly token: string;
  call<Body = ProblemBody>(method: string, path: string, options?: CallOptions): Promise<Answer<Body>>;
  /** POST /v1/jobs, whatever the answer. */
  post(body: unknown, headers?: Record<string, string>): Promise<Answer<JobAnswer>>;
  /** POST /v1/jobs that must be accepted. */
  submit(body: unknown, headers?: Record<string, string>): Promise<JobBody>;
  job(id: string): Promise<JobBody>;
  cancel(id: string): Promise<Answer<JobAnswer>>;
  /** The job once it is terminal. */
  finished(id: string): Promise<JobBody>;
  /** The job once it has that status. */
  inStatus(id: string, status: string): Promise<JobBody>;
  page(id: string, query?: string): Promise<EventsPage>;
  /** The whole log as it is now, page by page. */
  log(id: string): Promise<EventBody[]>;
  output(id: string): Promise<OutputBody>;
}

export function apiOf(server: { readonly url: string }, token: string): Api {
  const ask = <Body = ProblemBody>(method: string, path: string, options: CallOptions = {}) =>
    call<Body>(method, server.url + path, {
      ...options,
      headers: { ...(token === "" ? {} : { authorization: `Bearer ${token}` }), ...options.headers },
    });
  const read = async <Body>(path: string): Promise<Body> => {
    const answer = await ask<Body>("GET", path);
    if (answer.status !== 200) throw new Error(`GET ${path}: ${answer.status} ${answer.text}`);
    return answer.body;
  };
  const post = (body: unknown, headers: Record<string, string> = {}) =>
    ask<JobAnswer>("POST", "/v1/jobs", { json: body, headers });
  const page = (id: string, query = "") => read<EventsPage>(`/v1/jobs/${id}/events${query}`);
  const job = (id: string) => read<JobBody>(`/v1/jobs/${id}`);
  return {
    token,
    call: ask,
    post,
    submit: async (body, headers) => {
      const answer = await post(body, headers);
      if (answer.status !== 202) throw new Error(`submit: ${answer.status} ${answer.text}`);
      return answer.body;
    },
    job,
    cancel: (id) => ask<JobAnswer>("POST", `/v1/jobs/${id}/cancel`),
    // A server that is told to stop answers such a wait at once, with the job as it stands.
    finished: (id) =>
      until(
        `job ${id} to end`,
        async () => {
          const present = await read<JobBody>(`/v1/jobs/${id}?waitMs=20000`);
          return present.terminal && present;
        },
        20_000,
      ),
    inStatus: (id, status) =>
      until(`job ${id} to be ${status}`, async () => {
        const present = await job(id);
        return present.status === status && present;
      }),
    page,
    log: async (id) => {
      const events: EventBody[] = [];
      for (let next: number | null = 0; next !== null;) {
        const got: EventsPage = await page(id, `?after=${next}&limit=1000`);
        events.push(...got.events);
        // A log that goes on answers an empty page with the same cursor.
        next = got.events.length === 0 ? null : got.next;
      }
      return events;
    },
    output: (id) => read<OutputBody>(`/v1/jobs/${id}/output`),
  };
}

/** A new session without a socket; in open mode a new user as well. */
export async function newSession(
  server: { readonly url: string },
  userToken = "",
): Promise<Api & { readonly sessionId: string; readonly userId: string }> {
  const answer = await apiOf(server, userToken).call<SessionCreatedBody>("POST", "/v1/sessions");
  if (answer.status !== 201) throw new Error(`POST /v1/sessions: ${answer.status} ${answer.text}`);
  const { session, token } = answer.body;
  return { ...apiOf(server, token), sessionId: session.id, userId: session.userId };
}

/** Asserts the whole shape of an error (PROTOCOL section 3, Errors) and the two things every test wants of it. */
export function expectProblem(answer: Answer<unknown>, status: number, code: string): void {
  const body = answer.body as ProblemBody;
  expect({ status: answer.status, code: body.code, text: answer.text }).toMatchObject({ status, code });
  expect(answer.headers.get("content-type")).toStartWith("application/problem+json");
  const { type, title, detail, instance, traceId, retryable } = body;
  for (const text of [type, title, detail, instance, traceId]) expect(text).toBeString();
  for (const text of [type, title, detail, traceId]) expect(text).not.toBe("");
  expect(retryable).toBeBoolean();
  expect(body.status).toBe(status);
  expect(answer.headers.get("x-trace-id")).toBe(traceId);
}
