/** As much of OpenAPI 3.1, AsyncAPI 3.0 and JSON Schema as the two documents use and the reference page reads. */

/** JSON Schema 2020-12. */
export interface Schema {
  readonly $ref?: string;
  readonly title?: string;
  readonly description?: string;
  readonly type?: string | readonly string[];
  readonly format?: string;
  readonly pattern?: string;
  readonly const?: unknown;
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | Schema;
  readonly propertyNames?: Schema;
  readonly items?: Schema;
  readonly allOf?: readonly Schema[];
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly maxProperties?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly contentEncoding?: string;
  readonly contentMediaType?: string;
}

export interface Reference {
  readonly $ref: string;
}

export interface Example {
  readonly summary?: string;
  readonly value: unknown;
}

export interface MediaType {
  readonly schema: Schema;
  readonly examples?: Readonly<Record<string, Example | Reference>>;
}

export interface Header {
  readonly description: string;
  readonly schema: Schema;
}

export interface Parameter extends Header {
  readonly name: string;
  readonly in: "path" | "query" | "header";
  readonly required?: boolean;
}

export interface Answer {
  readonly description: string;
  readonly headers?: Readonly<Record<string, Reference>>;
  readonly content?: Readonly<Record<string, MediaType>>;
}

export interface Operation {
  readonly operationId: string;
  readonly tags: readonly string[];
  readonly summary: string;
  readonly description?: string;
  /** `{}` among them: it works without a credential too. */
  readonly security: readonly Readonly<Record<string, readonly string[]>>[];
  readonly parameters: readonly (Parameter | Reference)[];
  readonly requestBody?: {
    readonly description: string;
    readonly required: true;
    readonly content: Readonly<Record<string, MediaType>>;
  };
  readonly responses: Readonly<Record<string, Answer>>;
}

/** A problem code as the document lists it. */
export interface ProblemCode {
  readonly status: number;
  readonly title: string;
  readonly retryable: boolean;
}

export interface OpenApi {
  readonly openapi: string;
  readonly info: Info;
  readonly servers: readonly { readonly url: string; readonly description: string }[];
  readonly tags: readonly { readonly name: string; readonly description: string }[];
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: {
    readonly schemas: Readonly<Record<string, Schema>>;
    readonly headers: Readonly<Record<string, Header>>;
    readonly parameters: Readonly<Record<string, Parameter>>;
    readonly examples: Readonly<Record<string, Example>>;
    readonly securitySchemes: Readonly<Record<string, unknown>>;
  };
  readonly "x-problem-codes": Readonly<Record<string, ProblemCode>>;
}

export interface Info {
  readonly title: string;
  readonly version: string;
  readonly description: string;
  readonly license: { readonly name: string; readonly url: string };
}

export interface Message {
  readonly name: string;
  readonly title: string;
  readonly summary: string;
  readonly contentType: string;
  readonly payload: Schema;
  readonly examples?: readonly { readonly payload: unknown }[];
  readonly "x-binary-layout"?: readonly BinaryField[];
}

/** A field of the binary frame. */
export interface BinaryField {
  readonly name: string;
  readonly offset: number;
  /** null: all the rest. */
  readonly bytes: number | null;
  readonly description: string;
}

export interface CloseCode {
  readonly code: number;
  readonly name: string;
  readonly reconnect: boolean;
  /** What the client should do. */
  readonly advice: string;
}

export interface AsyncOperation {
  /** The server's side of it: it receives what a client sends. */
  readonly action: "send" | "receive";
  readonly channel: Reference;
  readonly summary: string;
  readonly messages: readonly Reference[];
  readonly reply?: { readonly channel: Reference; readonly messages: readonly Reference[] };
}

export interface AsyncApi {
  readonly asyncapi: string;
  readonly info: Info;
  readonly defaultContentType: string;
  readonly servers: Readonly<Record<string, unknown>>;
  readonly channels: {
    readonly connect: {
      readonly address: string;
      readonly title: string;
      readonly description: string;
      readonly messages: Readonly<Record<string, Reference>>;
      readonly bindings: { readonly ws: Readonly<Record<string, unknown>> };
      readonly "x-subprotocol": string;
      readonly "x-close-codes": readonly CloseCode[];
    };
  };
  readonly operations: Readonly<Record<string, AsyncOperation>>;
  readonly components: {
    readonly messages: Readonly<Record<string, Message>>;
    readonly schemas: Readonly<Record<string, Schema>>;
    readonly securitySchemes: Readonly<Record<string, unknown>>;
  };
}
