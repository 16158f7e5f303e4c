/**
 * An operator's JSON Schema as a zod schema. zod's own import passes over in silence what it cannot hold; here every
 * keyword is looked at first, so that a schema either holds as it reads or is refused with the place and the reason.
 */
import { z } from "zod";
import { pointerToken } from "./json.ts";

export interface SchemaFault {
  /** JSON Pointer of the place in the schema. */
  readonly pointer: string;
  readonly problem: string;
}

export type SchemaResult =
  | { readonly ok: true; readonly schema: z.ZodType }
  | { readonly ok: false; readonly faults: readonly SchemaFault[] };

const TYPES = ["object", "array", "string", "number", "integer", "boolean", "null"];
/** Formats that are checked; any other would be a note that nobody reads. */
const FORMATS = ["date-time", "date", "time", "duration", "email", "ipv4", "ipv6", "uri", "uuid"];

type Kind = "schema" | "schemas" | "schemaMap" | "count" | "number" | "pattern" | "format" | "flag" | "names";

/** What a keyword constrains (JSON Schema 2020-12, validation vocabulary): the types it needs, and the form of its value. */
const KEYWORDS: Readonly<Record<string, { readonly needs: readonly string[]; readonly kind: Kind }>> = {
  properties: { needs: ["object"], kind: "schemaMap" },
  required: { needs: ["object"], kind: "names" },
  additionalProperties: { needs: ["object"], kind: "schema" },
  propertyNames: { needs: ["object"], kind: "schema" },
  minProperties: { needs: ["object"], kind: "count" },
  maxProperties: { needs: ["object"], kind: "count" },
  items: { needs: ["array"], kind: "schema" },
  prefixItems: { needs: ["array"], kind: "schemas" },
  minItems: { needs: ["array"], kind: "count" },
  maxItems: { needs: ["array"], kind: "count" },
  uniqueItems: { needs: ["array"], kind: "flag" },
  minLength: { needs: ["string"], kind: "count" },
  maxLength: { needs: ["string"], kind: "count" },
  pattern: { needs: ["string"], kind: "pattern" },
  format: { needs: ["string"], kind: "format" },
  minimum: { needs: ["number", "integer"], kind: "number" },
  maximum: { needs: ["number", "integer"], kind: "number" },
  exclusiveMinimum: { needs: ["number", "integer"], kind: "number" },
  exclusiveMaximum: { needs: ["number", "integer"], kind: "number" },
  multipleOf: { needs: ["number", "integer"], kind: "number" },
};

/** Said for people and tools: they constrain nothing, `default` included. */
const NOTES = new Set([
  "$schema", "$id", "$comment", "title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly",
]); // prettier-ignore

/** Keywords that say by themselves what a value may be; one of them, or `type`, is needed beside no other. */
const CHOICES = ["$ref", "enum", "const", "anyOf", "oneOf", "allOf"];

type Members = Readonly<Record<string, unknown>>;

function isObject(value: unknown): value is Members {
  return typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}

const isScalar = (value: unknown): boolean =>
  value === null || ["string", "number", "boolean"].includes(typeof value);

function isOfType(value: unknown, type: unknown): boolean {
  if (type === "integer") return Number.isInteger(value);
  return type === (value === null ? "null" : typeof value);
}

/** What is wrong with the value of a keyword that holds no schema; null when nothing is. */
function valueProblem(kind: Kind, value: unknown): string | null {
  switch (kind) {
    case "count":
      return Number.isInteger(value) && Number(value) >= 0 ? null : "must be a whole number from 0";
    case "number":
      return typeof value === "number" && Number.isFinite(value) ? null : "must be a number";
    case "flag":
      return typeof value === "boolean" ? null : "must be true or false";
    case "format":
      return FORMATS.some((format) => format === value) ? null : `must be one of ${FORMATS.join(", ")}`;
    case "pattern":
      return patternProblem(value);
    case "names":
      return Array.isArray(value) && value.every((name) => typeof name === "string")
        ? null
        : "must be a list of names";
    case "schema":
    case "schemas":
    case "schemaMap":
      return null;
  }
}

function patternProblem(value: unknown): string | null {
  if (typeof value !== "string") return "must be a regular expression";
  try {
    RegExp(value);
    return null;
  } catch {
    return "is not a regular expression";
  }
}

/** Walks a schema and gathers what this server cannot hold to. */
function createExaminer(defs: Members): { faults: SchemaFault[]; examine: Examine } {
  const faults: SchemaFault[] = [];
  const fault = (pointer: string, problem: string): void => void faults.push({ pointer, problem });

  const list = (value: unknown, pointer: string, joined = false): void => {
    if (!Array.isArray(value) || value.length === 0) fault(pointer, "must be a list of schemas");
    else for (const [index, one] of value.entries()) examine(one, pointer + pointerToken(index), joined);
  };

  const map = (value: unknown, pointer: string): void => {
    if (!isObject(value)) fault(pointer, "must be a table of schemas");
    else for (const [name, one] of Object.entries(value)) examine(one, pointer + pointerToken(name));
  };

  const choice = (keyword: string, value: unknown, pointer: string, joined: boolean): void => {
    if (keyword === "$ref") {
      const name = /^#\/\$defs\/([^/~%]+)$/.exec(String(value))?.[1];
      if (name === undefined || !Object.hasOwn(defs, name))
        fault(pointer, "must be #/$defs/NAME, of a schema that is there");
      else if (joined && isClosed(defs[name])) fault(pointer, CLOSED_AND_JOINED);
    } else if (keyword === "const") {
      if (!isScalar(value)) fault(pointer, "must be a text, a number, true, false or null");
    } else if (keyword === "enum") {
      if (!Array.isArray(value) || value.length === 0 || !value.every(isScalar))
        fault(pointer, "must be a list of texts, numbers, true, false or null");
    } else list(value, pointer, joined || keyword === "allOf");
  };

  const constraint = (keyword: string, schema: Members, pointer: string, types: readonly unknown[]): void => {
    const known = KEYWORDS[keyword];
    const value = schema[keyword];
    if (known === undefined) {
      fault(pointer, "is not a keyword this server holds to");
      return;
    }
    if (!known.needs.some((type) => types.includes(type)))
      fault(pointer, `needs "type": "${known.needs[0]}" beside it`);
    const problem = valueProblem(known.kind, value);
    if (problem !== null) fault(pointer, problem);
    else if (known.kind === "schema") examine(value, pointer);
    else if (known.kind === "schemas") list(value, pointer);
    else if (known.kind === "schemaMap") map(value, pointer);
    else if (known.kind === "names") named(schema, pointer);
  };

  /** A required name that is not described would not be asked for. */
  const named = ({ required, properties }: Members, pointer: string): void => {
    const described = isObject(properties) ? properties : {};
    for (const name of required as readonly string[])
      if (!Object.hasOwn(described, name))
        fault(pointer, `names "${name}", which is not among the properties`);
  };

  const examine: Examine = (schema, pointer, joined = false) => {
    if (typeof schema === "boolean") return;
    if (!isObject(schema)) {
      fault(pointer, "must be a schema: a table, true or false");
      return;
    }
    const types = schema["type"] === undefined ? [] : [schema["type"]].flat();
    const wrong = types.find((type) => !TYPES.some((known) => known === type));
    if (wrong !== undefined) fault(`${pointer}/type`, `must be among ${TYPES.join(", ")}`);
    const chosen = CHOICES.filter((keyword) => Object.hasOwn(schema, keyword));
    const exclusive = chosen.find(isExclusive);
    const second =
      chosen.length > 1 ? chosen[1] : exclusive === "$ref" && types.length > 0 ? "$ref" : undefined;
    if (second !== undefined)
      fault(pointer + pointerToken(second), "must stand alone: put the others into allOf");
    const isJoined = joined || (types.length > 0 && chosen.length > 0);
    if (isJoined && isClosed(schema)) fault(`${pointer}/additionalProperties`, CLOSED_AND_JOINED);
    const listed = [schema["enum"] ?? [], schema["const"] ?? []].flat();
    const stray = listed.find((value) => types.length > 0 && !types.some((type) => isOfType(value, type)));
    if (stray !== undefined) fault(pointer, `lists ${JSON.stringify(stray)}, which its type does not allow`);
    for (const [keyword, value] of Object.entries(schema)) {
      const place = pointer + pointerToken(keyword);
      if (keyword === "type" || NOTES.has(keyword)) continue;
      if (keyword === "$defs") map(value, place);
      else if (CHOICES.includes(keyword)) choice(keyword, value, place, isJoined);
      else if (exclusive !== undefined) fault(place, `cannot stand beside ${exclusive}`);
      else constraint(keyword, schema, place, types);
    }
  };
  return { faults, examine };
}

/** `joined`: what it allows is joined with what another schema allows, as the members of allOf are. */
type Examine = (schema: unknown, pointer: string, joined?: boolean) => void;

const CLOSED_AND_JOINED = "cannot close an object that other schemas describe as well";

const isClosed = (schema: unknown): boolean =>
  isObject(schema) && schema["additionalProperties"] !== undefined && schema["additionalProperties"] !== true;

/** zod lets these replace what stands beside them. */
const isExclusive = (keyword: string): boolean =>
  keyword === "$ref" || keyword === "const" || keyword === "enum";

/** `default` is a note in JSON Schema; zod would put it into the input, which is stored and handed on as it was sent. */
function withoutDefaults(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(withoutDefaults);
  if (!isObject(schema)) return schema;
  const kept = Object.entries(schema).filter(([keyword]) => keyword !== "default");
  return Object.fromEntries(
    kept.map(([keyword, value]) => {
      const isMap = keyword === "properties" || keyword === "$defs";
      if (!isMap || !isObject(value)) return [keyword, isNested(keyword) ? withoutDefaults(value) : value];
      return [
        keyword,
        Object.fromEntries(Object.entries(value).map(([name, one]) => [name, withoutDefaults(one)])),
      ];
    }),
  );
}

const isNested = (keyword: string): boolean =>
  ["anyOf", "oneOf", "allOf"].includes(keyword) ||
  KEYWORDS[keyword]?.kind === "schema" ||
  keyword === "prefixItems";

/** A schema that holds exactly as `document` reads, or everything in it that cannot be held to. */
export function readJsonSchema(document: unknown): SchemaResult {
  const defs = isObject(document) && isObject(document["$defs"]) ? document["$defs"] : {};
  const { faults, examine } = createExaminer(defs);
  examine(document, "");
  if (faults.length > 0) return { ok: false, faults };
  try {
    // A registry of its own: names in it ($id) are the operator's and must not meet those of our schemas.
    const schema = z.fromJSONSchema(withoutDefaults(document) as z.core.JSONSchema.JSONSchema, {
      registry: z.registry(),
    });
    return { ok: true, schema };
  } catch (error) {
    return {
      ok: false,
      faults: [{ pointer: "", problem: error instanceof Error ? error.message : String(error) }],
    };
  }
}
