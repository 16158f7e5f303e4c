/** The HTTP operations on the reference page, group by group. */
import { html } from "hono/html";
import { COMMON_HEADERS } from "../openapi.ts";
import type {
  Answer,
  Example,
  MediaType,
  OpenApi,
  Operation,
  Parameter,
  Reference,
  Schema,
} from "../shape.ts";
import { fieldList, fieldsOf, refName, typeOf, type Field } from "./fields.ts";
import { folded, inline, prose, sample, type Markup } from "./words.ts";

export interface Placed {
  readonly method: string;
  readonly path: string;
  readonly operation: Operation;
}

/** Every operation with its place, in the order of the document. */
export function placedOperations({ paths }: OpenApi): Placed[] {
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ method: method.toUpperCase(), path, operation })),
  );
}

/** Where a problem code stands on the page. */
export function problemAnchor(code: string): string {
  return `problem-${code}`;
}

const PROBLEM = "application/problem+json";

function credential({ security }: Operation): string {
  if (security.length === 0) return "No credential needed.";
  if (security.some((one) => "admin" in one)) return "Needs an admin token.";
  if (security.some((one) => "publish" in one)) return "Needs a token; a publish token will do.";
  if (security.some((one) => "worker" in one)) return "Needs a worker token.";
  const without = security.some((one) => Object.keys(one).length === 0);
  return without ? "With a credential or without, as the server is configured." : "Needs a token.";
}

function examplesOf({ examples = {} }: MediaType): [string, Example][] {
  return Object.entries(examples).flatMap(([name, one]): [string, Example][] =>
    "$ref" in one ? [] : [[name, one]],
  );
}

/** The call as somebody would type it. */
function curl({ method, path, operation }: Placed): string {
  const lines = [`curl ${method === "GET" ? "" : `-X ${method} `}"$HOLDLINE${path}"`];
  if (operation.security.length > 0) lines.push('-H "Authorization: Bearer $TOKEN"');
  const body = operation.requestBody?.content["application/json"];
  const first = body === undefined ? undefined : examplesOf(body)[0];
  if (first !== undefined) {
    lines.push('-H "Content-Type: application/json"', `-d '${JSON.stringify(first[1].value)}'`);
  }
  return lines.join(" \\\n  ");
}

function parameterFields(parameters: readonly (Parameter | Reference)[]): Field[] {
  return parameters.flatMap((parameter): Field[] =>
    "$ref" in parameter
      ? []
      : [
          {
            name: parameter.name,
            schema: parameter.schema,
            required: parameter.required ?? false,
            description: parameter.description,
            place: parameter.in,
          },
        ],
  );
}

function headerNames({ headers = {} }: Answer): string[] {
  return Object.keys(headers).filter((name) => !COMMON_HEADERS.includes(name));
}

function bodyLine(type: string, media: MediaType): Markup {
  const { schema } = media;
  const words = refName(schema) === null ? inline(schema.description ?? "") : typeOf(schema);
  return html`<p class="body"><code>${type}</code> ${words}</p>
    ${examplesOf(media).map(([name, { value }]) => folded(`Example: ${name}`, sample(value)))}`;
}

function answer(status: string, given: Answer): Markup {
  const names = headerNames(given);
  return html`<div>
    <dt><span class="status status--${status.slice(0, 1)}">${status}</span></dt>
    <dd>
      ${prose(given.description)}
      ${Object.entries(given.content ?? {}).map(([type, media]) => bodyLine(type, media))}
      ${
        names.length === 0
          ? ""
          : html`<p class="quiet">
              Headers:
              ${names.map(
                (name, index) =>
                  html`${index === 0 ? "" : ", "}<a href="#header-${name}"><code>${name}</code></a>`,
              )}
            </p>`
      }
    </dd>
  </div>`;
}

/** Codes of the refusals, taken from what the document narrows `code` to. */
function refusals(answers: readonly (readonly [string, Answer])[]): Markup {
  return html`<dl class="refusals">
    ${answers.map(([status, { content }]) => {
      const narrowed = content?.[PROBLEM]?.schema.allOf?.at(-1)?.properties?.["code"]?.enum ?? [];
      return html`<div>
        <dt><span class="status status--${status.slice(0, 1)}">${status}</span></dt>
        <dd>
          ${narrowed.map((code) => html`<a href="#${problemAnchor(String(code))}"><code>${code}</code></a> `)}
        </dd>
      </div>`;
    })}
  </dl>`;
}

/** Fields of a body: what has to be given, then what may be. */
function requiredFirst(fields: readonly Field[]): Field[] {
  return fields.toSorted((a, b) => Number(b.required) - Number(a.required));
}

type Schemas = Readonly<Record<string, Schema>>;

function section(placed: Placed, schemas: Schemas): Markup {
  const { method, path, operation } = placed;
  const { operationId, summary, description, parameters, requestBody, responses } = operation;
  const isRefusal = ([, { content }]: readonly [string, Answer]): boolean => content?.[PROBLEM] !== undefined;
  const answers = Object.entries(responses);
  const fields = parameterFields(parameters);
  const body = requestBody?.content["application/json"];
  return html`<section class="entry" id="${operationId}">
    <h3><span class="method method--${method.toLowerCase()}">${method}</span> <code>${path}</code></h3>
    <p class="summary">${summary}</p>
    ${description === undefined ? "" : prose(description)}
    <p class="quiet">${credential(operation)}</p>
    ${
      fields.length === 0
        ? ""
        : html`<h4>Parameters</h4>
            ${fieldList(fields)}`
    }
    ${
      body === undefined
        ? ""
        : html`<h4>Body</h4>
            <p class="body"><code>application/json</code> ${typeOf(body.schema)}</p>
            ${fieldList(requiredFirst(fieldsOf(schemas[refName(body.schema) ?? ""] ?? {})))}`
    }
    ${folded("Call", sample(curl(placed)))}
    <h4>Answers</h4>
    <dl class="answers">
      ${answers.filter((one) => !isRefusal(one)).map(([status, one]) => answer(status, one))}
    </dl>
    <h4>Refusals</h4>
    ${refusals(answers.filter(isRefusal))}
  </section>`;
}

/** One group of operations under its heading. */
export function operationGroup(
  tag: { readonly name: string; readonly description: string },
  operations: readonly Placed[],
  schemas: Schemas,
): Markup {
  return html`<section class="group" id="group-${tag.name}">
    <h2>${tag.name}</h2>
    ${prose(tag.description)} ${operations.map((placed) => section(placed, schemas))}
  </section>`;
}

/** What calls have in common: headers both ways. */
export function headerSection({ components }: OpenApi): Markup {
  const taken = parameterFields(Object.values(components.parameters));
  const given = Object.entries(components.headers);
  return html`<section class="group" id="headers">
    <h2>Headers</h2>
    <p>Every call of the API takes these:</p>
    ${fieldList(taken)}
    <p>
      Answers bear these. <code>X-Trace-Id</code> is on every one, the two of the rate limit on every one that
      was counted.
    </p>
    <dl class="fields">
      ${given.map(
        ([name, { description }]) =>
          html`<div id="header-${name}">
            <dt><code>${name}</code></dt>
            <dd>${inline(description)}</dd>
          </div>`,
      )}
    </dl>
  </section>`;
}

/** The closed list of what can go wrong. */
export function problemSection(document: OpenApi): Markup {
  const codes = Object.entries(document["x-problem-codes"]);
  return html`<section class="group" id="problems">
    <h2>Problem codes</h2>
    <p>The whole list. Problems of HTTP and <code>error</code> frames of the socket share it.</p>
    <dl class="answers">
      ${codes.map(
        ([code, { status, title, retryable }]) =>
          html`<div id="${problemAnchor(code)}">
            <dt><span class="status status--${String(status).slice(0, 1)}">${status}</span></dt>
            <dd>
              <p><code>${code}</code></p>
              <p>${title}.${retryable ? html` <span class="quiet">May succeed later.</span>` : ""}</p>
            </dd>
          </div>`,
      )}
    </dl>
  </section>`;
}
