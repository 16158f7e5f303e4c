/** The vocabulary in which operations are described: what a route takes and gives, before OpenAPI's own words for it. */
import type { ErrorCode } from "../../protocol/codes.ts";
import type { SchemaName } from "./schemas.ts";
import type { Example, Parameter } from "./shape.ts";

export type Tag = "Jobs" | "Output" | "Sessions" | "Rooms" | "Socket" | "Workers" | "Operators" | "About";

export type HeaderName =
  | "Location"
  | "Retry-After"
  | "ETag"
  | "Idempotent-Replayed"
  | "Preference-Applied"
  | "Content-Range"
  | "Accept-Ranges"
  | "Upgrade"
  | "WWW-Authenticate"
  | "Sec-WebSocket-Protocol";

/** A body by its media type: a schema of ours, or text that a schema cannot tell more about. */
export type Content =
  | { readonly schema: SchemaName; readonly examples: Readonly<Record<string, Example>> }
  | { readonly text: string; readonly examples?: Readonly<Record<string, Example>> }
  | { readonly binary: string };

export interface DescribedAnswer {
  readonly description: string;
  readonly headers?: readonly HeaderName[];
  readonly content?: Readonly<Record<string, Content>>;
}

/** One route of http.ts, in words. */
export interface Described {
  readonly method: "GET" | "POST" | "DELETE";
  /** As in the table of routes. */
  readonly path: string;
  readonly id: string;
  readonly tag: Tag;
  readonly summary: string;
  readonly description?: string;
  /** `maybe`: with a credential or without, as the server is configured; `speaker`: also by a publish token; `admin`, `worker`: such a token. */
  readonly credential: "needed" | "maybe" | "speaker" | "admin" | "worker" | "none";
  readonly parameters?: readonly Parameter[];
  readonly body?: {
    readonly description: string;
    readonly content: Readonly<Record<string, Content>>;
  };
  /** By status. */
  readonly answers: Readonly<Record<number, DescribedAnswer>>;
  /** Codes beside those that the credential, the body and the edge bring along. */
  readonly problems: readonly ErrorCode[];
}

/** One example under a name, as OpenAPI wants them. */
export function example(name: string, value: unknown): Readonly<Record<string, Example>> {
  return { [name]: { value } };
}

/** A JSON body. */
export function json(
  schema: SchemaName,
  examples: Readonly<Record<string, Example>>,
): Readonly<Record<string, Content>> {
  return { "application/json": { schema, examples } };
}

/** A whole number in the query. */
export function intQuery(
  name: string,
  description: string,
  bounds: { readonly minimum: number; readonly maximum?: number; readonly default?: number },
): Parameter {
  return { name, in: "query", description, schema: { type: "integer", ...bounds } };
}
