/** /openapi.json: the HTTP API as OpenAPI 3.1, made from the schemas of the protocol and the operations in words. */
import { ERROR_CODES, type ErrorCode } from "../../protocol/codes.ts";
import type { Content, Described, DescribedAnswer, HeaderName, Tag } from "./describe.ts";
import { problemExample } from "./examples.ts";
import { ABOUT_OPERATIONS } from "./operations-about.ts";
import { ADMIN_OPERATIONS } from "./operations-admin.ts";
import { JOB_OPERATIONS } from "./operations-jobs.ts";
import { OUTPUT_OPERATIONS } from "./operations-output.ts";
import { ROOM_OPERATIONS } from "./operations-rooms.ts";
import { SESSION_OPERATIONS, TYPE_OPERATIONS } from "./operations-sessions.ts";
import { WORKER_OPERATIONS } from "./operations-worker.ts";
import { HEADERS, TRACE_PARAMETERS } from "./headers.ts";
import { type PublishedSchemas, schemaRef } from "./schemas.ts";
import type { Answer, Example, Info, MediaType, OpenApi, Operation, Parameter, Reference } from "./shape.ts";

export const OPERATIONS: readonly Described[] = [
  ...JOB_OPERATIONS,
  ...TYPE_OPERATIONS,
  ...OUTPUT_OPERATIONS,
  ...SESSION_OPERATIONS,
  ...ROOM_OPERATIONS,
  ...WORKER_OPERATIONS,
  ...ADMIN_OPERATIONS,
  ...ABOUT_OPERATIONS,
];

/** Borne by the answers of every call that is counted. */
export const COMMON_HEADERS: readonly string[] = ["X-Trace-Id", "RateLimit", "RateLimit-Policy"];

/** What any call may be told, before its route runs or when something broke. */
const EDGE: readonly ErrorCode[] = ["token_in_url", "forbidden", "forbidden_origin", "internal"];
const CREDENTIAL: readonly ErrorCode[] = [
  "unauthenticated",
  "token_expired",
  "token_revoked",
  "token_binding",
  "session_gone",
  "rate_limited",
  "auth_unavailable",
];
const BODY: readonly ErrorCode[] = [
  "invalid_request",
  "request_timeout",
  "payload_too_large",
  "unsupported_media_type",
];

/** Codes that no operation listed here gives, and where they come from. */
export const ELSEWHERE: Readonly<Partial<Record<ErrorCode, string>>> = {
  method_not_allowed: "any known path, asked with a method it does not have",
  headers_too_large: "any call",
};

const TAGS: Readonly<Record<Tag, string>> = {
  Jobs: "Work that was accepted: HTTP takes it, and every job reaches exactly one end.",
  Output: "What a job writes: one log, read as pages, followed live, or put together.",
  Sessions: "Who is there. A session outlives its sockets; its token is what calls bear.",
  Rooms: "Who is together, and what is said there. Rooms are entered over the socket.",
  Socket: "Where output is delivered; the frames are in the AsyncAPI document.",
  Workers: "Programs in any language that do jobs from outside, with a worker token.",
  Operators: "Everybody's jobs and sessions, for who holds an admin token.",
  About: "What the server says about itself. Needs no credential.",
};

const DESCRIPTION = `HTTP accepts, WebSocket delivers.

A client submits work over HTTP and gets \`202\` and a job once it is stored. Progress, text, audio and the result come over the socket, in order and whole, or over HTTP from the same log.

Bodies are UTF-8 JSON. Times of jobs and sessions are RFC 3339 UTC; entries and frames carry \`at\`, milliseconds since the epoch; durations are milliseconds and end in \`Ms\`. Unknown fields in a body are refused; clients ignore unknown fields, event kinds and frames.

Errors are RFC 9457 problem details. \`code\` is of one closed list (\`x-problem-codes\`), and is what clients switch on.`;

function problemsOf({ method, credential, body, problems }: Described): readonly ErrorCode[] {
  const brought = [
    ...EDGE,
    ...(credential === "none" ? [] : CREDENTIAL),
    // A POST that takes nothing looks whether something was sent.
    ...(body === undefined && method !== "POST" ? [] : BODY),
  ];
  const all = new Set<ErrorCode>([...brought, ...problems]);
  // In the order of the list, so that every operation tells them alike.
  return (Object.keys(ERROR_CODES) as ErrorCode[]).filter((code) => all.has(code));
}

function headerRefs(names: readonly string[]): Record<string, Reference> {
  return Object.fromEntries(names.map((name) => [name, { $ref: `#/components/headers/${name}` }]));
}

/** Headers of refusals beside the common ones. */
const PROBLEM_HEADERS: Readonly<Record<number, readonly HeaderName[]>> = {
  401: ["WWW-Authenticate"],
  416: ["Content-Range"],
  426: ["Upgrade"],
  429: ["Retry-After"],
  503: ["Retry-After"],
};

/** The answers to what is refused, one a status, each with its codes. */
function problemAnswers(codes: readonly ErrorCode[], common: readonly string[]): Record<string, Answer> {
  const byStatus = Map.groupBy(codes, (code) => ERROR_CODES[code].status);
  return Object.fromEntries(
    [...byStatus].map(([status, some]) => [
      String(status),
      {
        description: some.map((code) => `\`${code}\`: ${ERROR_CODES[code].title}.`).join("\n\n"),
        headers: headerRefs([...common, ...(PROBLEM_HEADERS[status] ?? [])]),
        content: {
          "application/problem+json": {
            schema: { allOf: [schemaRef("Problem"), { properties: { code: { enum: some } } }] },
            examples: Object.fromEntries(
              some.map((code) => [code, { $ref: `#/components/examples/${code}` }]),
            ),
          },
        },
      },
    ]),
  );
}

function mediaType(content: Content): MediaType {
  if ("schema" in content) return { schema: schemaRef(content.schema), examples: content.examples };
  if ("binary" in content) return { schema: { description: content.binary } };
  const schema = { type: "string", description: content.text };
  return content.examples === undefined ? { schema } : { schema, examples: content.examples };
}

function answerOf(
  { description, headers = [], content }: DescribedAnswer,
  common: readonly string[],
): Answer {
  const answer = { description, headers: headerRefs([...common, ...headers]) };
  if (content === undefined) return answer;
  const types = Object.entries(content).map(([type, one]) => [type, mediaType(one)] as const);
  return { ...answer, content: Object.fromEntries(types) };
}

/** What stands in a path, by where the path begins. */
const PATH_WORDS: readonly (readonly [prefix: string, words: string])[] = [
  ["/v1/sessions", "Id of the session, or `current`."],
  ["/v1/rooms", "Name of the room; a `/` in it is written `%2F`."],
];

/** `:id` of the table of routes as a parameter. */
function pathParameters({ path }: Described): Parameter[] {
  return [...path.matchAll(/:(\w+)/g)].map(([, name = ""]) => ({
    name,
    in: "path",
    required: true,
    description: PATH_WORDS.find(([prefix]) => path.startsWith(prefix))?.[1] ?? "Id of the job.",
    schema: { type: "string" },
  }));
}

const TOKENS = [{ bearer: [] }, { cookie: [] }] as const;
const SECURITY = {
  needed: TOKENS,
  maybe: [...TOKENS, {}],
  speaker: [...TOKENS, { publish: [] }],
  admin: [{ admin: [] }],
  worker: [{ worker: [] }],
  none: [],
} as const;

function operationOf(described: Described): Operation {
  const { id, tag, summary, description, credential, body, parameters = [] } = described;
  const common = credential === "none" ? ["X-Trace-Id"] : COMMON_HEADERS;
  const answers = Object.entries(described.answers).map(
    ([status, answer]) => [status, answerOf(answer, common)] as const,
  );
  return {
    operationId: id,
    tags: [tag],
    summary,
    ...(description === undefined ? {} : { description }),
    security: SECURITY[credential],
    parameters: [
      ...pathParameters(described),
      ...parameters,
      ...(tag === "About" ? [] : Object.keys(TRACE_PARAMETERS)).map((name) => ({
        $ref: `#/components/parameters/${name}`,
      })),
    ],
    ...(body === undefined
      ? {}
      : {
          requestBody: {
            description: body.description,
            required: true as const,
            content: Object.fromEntries(
              Object.entries(body.content).map(([type, one]) => [type, mediaType(one)]),
            ),
          },
        }),
    responses: { ...Object.fromEntries(answers), ...problemAnswers(problemsOf(described), common) },
  };
}

function pathsOf(operations: readonly Described[]): OpenApi["paths"] {
  const byPath = Map.groupBy(operations, ({ path }) => path.replaceAll(/:(\w+)/g, "{$1}"));
  return Object.fromEntries(
    [...byPath].map(([path, some]) => [
      path,
      Object.fromEntries(some.map((one) => [one.method.toLowerCase(), operationOf(one)])),
    ]),
  );
}

/** Name, version and licence, as both documents give them. */
export function infoOf(title: string, version: string, description: string): Info {
  return {
    title,
    version,
    description,
    license: { name: "MIT", url: "https://spdx.org/licenses/MIT.html" },
  };
}

export interface DocumentOptions {
  readonly version: string;
  /** Where the outside reaches the server; null when nobody said. */
  readonly publicUrl: string | null;
  /** Name of the cookie that may hold a user token. */
  readonly authCookie: string;
}

export function createOpenApi(
  { version, publicUrl, authCookie }: DocumentOptions,
  { named }: PublishedSchemas,
): OpenApi {
  const examples = Object.fromEntries(
    (Object.keys(ERROR_CODES) as ErrorCode[]).map((code): [string, Example] => [
      code,
      { value: problemExample(code) },
    ]),
  );
  const { WelcomeJob: _, ...schemas } = named;
  return {
    openapi: "3.1.1",
    info: infoOf("Holdline over HTTP", version, DESCRIPTION),
    servers: [{ url: publicUrl ?? "/", description: publicUrl === null ? "This server" : "Public address" }],
    tags: Object.entries(TAGS).map(([name, description]) => ({ name, description })),
    paths: pathsOf(OPERATIONS),
    components: {
      schemas,
      headers: HEADERS,
      parameters: TRACE_PARAMETERS,
      examples,
      securitySchemes: {
        bearer: {
          type: "http",
          scheme: "bearer",
          bearerFormat: "JWT",
          description: "A session token, or a user token of the operator's identity provider.",
        },
        admin: {
          type: "http",
          scheme: "bearer",
          description: "An admin token, made by the command line.",
        },
        publish: {
          type: "http",
          scheme: "bearer",
          description: "A publish token, made by the command line; it may be limited to rooms.",
        },
        worker: {
          type: "http",
          scheme: "bearer",
          description: "A worker token, made by the command line; it may be limited to job types.",
        },
        cookie: {
          type: "apiKey",
          in: "cookie",
          name: authCookie,
          description: "A user token; counts only with an allowed `Origin`, or on a same-origin GET.",
        },
      },
    },
    "x-problem-codes": ERROR_CODES,
  };
}
