/** Holds real answers against the published OpenAPI document, read from the server that gave them. */
import { expect } from "bun:test";
import { faultsOf, resolveRef, type JsonSchema } from "./json-schema.ts";

interface PublishedAnswer {
  readonly headers?: Readonly<Record<string, { readonly $ref: string }>>;
  readonly content?: Readonly<Record<string, { readonly schema: JsonSchema }>>;
}

interface PublishedDocument {
  readonly paths: Readonly<
    Record<
      string,
      Readonly<Record<string, { readonly responses: Readonly<Record<string, PublishedAnswer>> }>>
    >
  >;
}

export interface Contract {
  readonly document: PublishedDocument;
  /** Calls `operation` (`GET /v1/jobs/{id}`) at `path` and expects that the document describes the answer. */
  call(operation: string, path: string, init?: RequestInit & { token?: string }): Promise<CheckedAnswer>;
}

export interface CheckedAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The parsed JSON; undefined for any other body. */
  readonly body: unknown;
}

/** Fields of HTTP itself, and those the guard and CORS add, need no word in the contract of an operation. */
const UNDESCRIBED = new Set([
  "accept-ranges",
  "cache-control",
  "connection",
  "content-length",
  "content-security-policy",
  "content-type",
  "cross-origin-opener-policy",
  "date",
  "keep-alive",
  "referrer-policy",
  "transfer-encoding",
  "vary",
  "x-accel-buffering",
  "x-content-type-options",
  "x-correlation-id",
]);

/** Every line of a stream as JSON, whichever of the two forms it has. */
export function streamedEvents(type: string, text: string): unknown[] {
  const lines = text.split("\n");
  const bodies =
    type === "text/event-stream"
      ? lines.filter((line) => line.startsWith("data: ")).map((line) => line.slice("data: ".length))
      : lines.filter((line) => line !== "");
  return bodies.map((body) => JSON.parse(body) as unknown);
}

/** Its members that are in the answer and not in the document, and those that are not as described. */
function headerFaults(
  document: unknown,
  given: Headers,
  described: PublishedAnswer["headers"] = {},
): string[] {
  const known = new Map(Object.entries(described).map(([name, header]) => [name.toLowerCase(), header]));
  return [...given].flatMap(([name, value]) => {
    const header = known.get(name.toLowerCase());
    if (header === undefined)
      return UNDESCRIBED.has(name.toLowerCase()) ? [] : [`header ${name} is not described`];
    const { schema } = resolveRef(document, header.$ref) as { schema: JsonSchema };
    const read = schema["type"] === "integer" ? Number(value) : value;
    return faultsOf(schema, read, { root: document }).map((fault) => `header ${name}: ${fault}`);
  });
}

export async function readContract(server: { readonly url: string }): Promise<Contract> {
  const document = (await (await fetch(`${server.url}/openapi.json`)).json()) as PublishedDocument;
  return {
    document,
    async call(operation, path, { token, ...init } = {}) {
      const [method = "", pattern = ""] = operation.split(" ");
      const headers = new Headers(init.headers);
      if (token !== undefined) headers.set("authorization", `Bearer ${token}`);
      const response = await fetch(server.url + path, { ...init, method, headers, redirect: "manual" });
      const text = await response.text();
      const answer = document.paths[pattern]?.[method.toLowerCase()]?.responses[String(response.status)];
      if (answer === undefined)
        throw new Error(`${operation} answers ${response.status}, which is not described: ${text}`);
      const type = (response.headers.get("content-type") ?? "").split(";", 1)[0] ?? "";
      const range = `${type.split("/", 1)[0]}/*`;
      const media = answer.content?.[type] ?? answer.content?.[range];
      const isJson = /[/+]json$/.test(type) && text !== "";
      const body = isJson ? (JSON.parse(text) as unknown) : undefined;
      const faults = headerFaults(document, response.headers, answer.headers);
      if (answer.content === undefined) faults.push(...(text === "" ? [] : ["a body is not described"]));
      else if (media === undefined) faults.push(`${type} is not described`);
      else if (isJson && ("$ref" in media.schema || "allOf" in media.schema))
        faults.push(...faultsOf(media.schema, body, { root: document, strict: true }));
      expect({ operation, status: response.status, faults }).toEqual({
        operation,
        status: response.status,
        faults: [],
      });
      return { status: response.status, headers: response.headers, text, body };
    },
  };
}
