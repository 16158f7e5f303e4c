/** A JSON Schema as a list of fields: name, type, whether it must be there, what it is. */
import { html } from "hono/html";
import type { Schema } from "../shape.ts";
import { inline, type Markup } from "./words.ts";

const SCHEMAS = "#/components/schemas/";

/** Where a named schema stands on the page. */
export function schemaAnchor(name: string): string {
  return `schema-${name}`;
}

/** Name of the schema that a reference leads to, or null when it is none. */
export function refName(schema: Schema): string | null {
  return schema.$ref?.startsWith(SCHEMAS) === true ? schema.$ref.slice(SCHEMAS.length) : null;
}

const figure = (value: number): string => value.toLocaleString("en-US");

function valueText(value: unknown): string {
  if (typeof value === "number") return figure(value);
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** Bounds and default, to be put behind the type. */
function bounds(schema: Schema): string {
  const { minimum, maximum, minLength, maxLength, maxProperties } = schema;
  const parts: string[] = [];
  if (minimum !== undefined && maximum !== undefined) parts.push(`${figure(minimum)}–${figure(maximum)}`);
  else if (minimum !== undefined && minimum !== 0) parts.push(`≥ ${figure(minimum)}`);
  else if (maximum !== undefined) parts.push(`≤ ${figure(maximum)}`);
  if (maxLength !== undefined) {
    const range = minLength === undefined ? "≤ " : `${figure(minLength)}–`;
    parts.push(`${range}${figure(maxLength)} characters`);
  }
  if (maxProperties !== undefined) parts.push(`≤ ${figure(maxProperties)} pairs`);
  if (schema.default !== undefined) parts.push(`default ${valueText(schema.default)}`);
  return parts.map((part) => `, ${part}`).join("");
}

function literals(values: readonly unknown[]): Markup {
  return html`${values.map(
    (value, index) => html`${index === 0 ? "" : " | "}<code>${String(value)}</code>`,
  )}`;
}

/** The type in a few words. */
export function typeOf(schema: Schema): Markup {
  const name = refName(schema);
  if (name !== null) return html`<a href="#${schemaAnchor(name)}">${name}</a>`;
  if (schema.const !== undefined) return literals([schema.const]);
  if (schema.enum !== undefined) return html`${literals(schema.enum)}${bounds(schema)}`;
  const alternatives = schema.anyOf ?? schema.oneOf;
  if (alternatives !== undefined && schema.properties === undefined) {
    return html`${alternatives.map((one, index) => html`${index === 0 ? "" : " | "}${typeOf(one)}`)}`;
  }
  if (schema.items !== undefined) return html`array of ${typeOf(schema.items)}`;
  if (typeof schema.additionalProperties === "object")
    return html`map of ${typeOf(schema.additionalProperties)}${bounds(schema)}`;
  const type = typeof schema.type === "string" ? schema.type : (schema.type?.join(" | ") ?? "any JSON");
  const format = schema.format ?? schema.contentEncoding;
  return html`${type}${format === undefined ? "" : ` (${format})`}${bounds(schema)}`;
}

export interface Field {
  readonly name: string;
  readonly schema: Schema;
  readonly required: boolean;
  readonly description?: string | undefined;
  /** Where a parameter stands. */
  readonly place?: string;
}

/** Fields of an object, those of the objects inside it under `outer.inner` and `list[].inner`. */
export function fieldsOf(schema: Schema, prefix = ""): Field[] {
  return Object.entries(schema.properties ?? {}).flatMap(([key, property]): Field[] => {
    const name = prefix + key;
    const required = schema.required?.includes(key) ?? false;
    const own: Field = { name, schema: property, required, description: property.description };
    const inner = property.items ?? property;
    const suffix = property.items === undefined ? "." : "[].";
    return refName(inner) === null ? [own].concat(fieldsOf(inner, name + suffix)) : [own];
  });
}

/** A list of fields; a sentence where there are none. */
export function fieldList(fields: readonly Field[], empty = "No fields."): Markup {
  if (fields.length === 0) return html`<p class="quiet">${empty}</p>`;
  return html`<dl class="fields">
    ${fields.map(
      ({ name, schema, required, description, place }) =>
        html`<div>
          <dt>
            <code>${name}</code>
            <span class="type">${typeOf(schema)}${place === undefined ? "" : `, ${place}`}</span>${
              required ? html` <span class="required">required</span>` : ""
            }
          </dt>
          ${description === undefined ? "" : html`<dd>${inline(description)}</dd>`}
        </div>`,
    )}
  </dl>`;
}
