/**
 * A small JSON Schema checker, written from the specification and independent of what made the schemas. It knows the
 * keywords that the published documents use and throws at any other one. `strict`: a member that no schema names is a
 * fault too, so that nothing is answered that is not described.
 */

export type JsonSchema = Readonly<Record<string, unknown>>;

export interface CheckOptions {
  /** The whole document, for references. */
  readonly root: unknown;
  readonly strict?: boolean;
}

/** What a reference like `#/components/schemas/Job` leads to. Throws when it leads nowhere. */
export function resolveRef(root: unknown, ref: string): unknown {
  if (!ref.startsWith("#/")) throw new Error(`not a local reference: ${ref}`);
  let at: unknown = root;
  for (const part of ref.slice(2).split("/")) {
    const name = part.replaceAll("~1", "/").replaceAll("~0", "~");
    at = typeof at === "object" && at !== null ? (at as Record<string, unknown>)[name] : undefined;
    if (at === undefined) throw new Error(`nothing stands at ${ref}`);
  }
  return at;
}

const ANNOTATIONS = new Set([
  "title",
  "description",
  "default",
  "examples",
  "contentEncoding",
  "contentMediaType",
]);

const FORMATS: Readonly<Record<string, (text: string) => boolean>> = {
  uuid: (text) => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text),
  "date-time": (text) =>
    /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(text) && !Number.isNaN(Date.parse(text)),
  "uri-reference": (text) => URL.canParse(text, "http://example.test"),
};

function typeMatches(value: unknown, type: string): boolean {
  switch (type) {
    case "null":
      return value === null;
    case "array":
      return Array.isArray(value);
    case "object":
      return typeof value === "object" && value !== null && !Array.isArray(value);
    case "integer":
      return Number.isInteger(value);
    default:
      return typeof value === type;
  }
}

type Faults = string[];
type Keyword = (schema: JsonSchema, value: unknown, at: string, check: Check) => Faults;
type Check = (schema: JsonSchema, value: unknown, at: string) => Faults;

const list = (value: unknown): JsonSchema[] => value as JsonSchema[];
const isObject = (value: unknown): value is Record<string, unknown> => typeMatches(value, "object");
const faultIf = (wrong: boolean, at: string, what: string): Faults => (wrong ? [`${at || "/"} ${what}`] : []);

const KEYWORDS: Readonly<Record<string, Keyword>> = {
  type: ({ type }, value, at) => {
    const types = (Array.isArray(type) ? type : [type]) as string[];
    return faultIf(!types.some((one) => typeMatches(value, one)), at, `is not ${types.join(" or ")}`);
  },
  const: (schema, value, at) => faultIf(value !== schema["const"], at, `is not ${String(schema["const"])}`),
  enum: (schema, value, at) =>
    faultIf(!(schema["enum"] as unknown[]).includes(value), at, `is none of ${String(schema["enum"])}`),
  format: ({ format }, value, at) => {
    const holds = FORMATS[String(format)];
    if (holds === undefined) throw new Error(`unknown format ${String(format)}`);
    return faultIf(typeof value === "string" && !holds(value), at, `is no ${String(format)}`);
  },
  pattern: ({ pattern }, value, at) =>
    faultIf(
      typeof value === "string" && !new RegExp(String(pattern), "u").test(value),
      at,
      "breaks its pattern",
    ),
  minimum: ({ minimum }, value, at) =>
    faultIf(typeof value === "number" && value < Number(minimum), at, "is too small"),
  maximum: ({ maximum }, value, at) =>
    faultIf(typeof value === "number" && value > Number(maximum), at, "is too great"),
  minLength: ({ minLength }, value, at) =>
    faultIf(typeof value === "string" && value.length < Number(minLength), at, "is too short"),
  maxLength: ({ maxLength }, value, at) =>
    faultIf(typeof value === "string" && value.length > Number(maxLength), at, "is too long"),
  minItems: ({ minItems }, value, at) =>
    faultIf(Array.isArray(value) && value.length < Number(minItems), at, "has too few items"),
  maxItems: ({ maxItems }, value, at) =>
    faultIf(Array.isArray(value) && value.length > Number(maxItems), at, "has too many items"),
  maxProperties: ({ maxProperties }, value, at) =>
    faultIf(isObject(value) && Object.keys(value).length > Number(maxProperties), at, "has too many members"),
  required: ({ required }, value, at) =>
    isObject(value)
      ? (required as string[]).flatMap((name) =>
          faultIf(!Object.hasOwn(value, name), `${at}/${name}`, "is missing"),
        )
      : [],
  properties: ({ properties }, value, at, check) =>
    isObject(value)
      ? Object.entries(properties as Record<string, JsonSchema>).flatMap(([name, schema]) =>
          Object.hasOwn(value, name) ? check(schema, value[name], `${at}/${name}`) : [],
        )
      : [],
  additionalProperties: ({ additionalProperties, properties = {} }, value, at, check) => {
    if (!isObject(value)) return [];
    const rest = Object.keys(value).filter((name) => !Object.hasOwn(properties as object, name));
    if (additionalProperties === false) return rest.map((name) => `${at}/${name} may not be there`);
    return rest.flatMap((name) => check(additionalProperties as JsonSchema, value[name], `${at}/${name}`));
  },
  propertyNames: ({ propertyNames }, value, at, check) =>
    isObject(value)
      ? Object.keys(value).flatMap((name) => check(propertyNames as JsonSchema, name, `${at}/${name}`))
      : [],
  items: ({ items }, value, at, check) =>
    Array.isArray(value)
      ? value.flatMap((item, index) => check(items as JsonSchema, item, `${at}/${index}`))
      : [],
  allOf: ({ allOf }, value, at, check) => list(allOf).flatMap((one) => check(one, value, at)),
  anyOf: ({ anyOf }, value, at, check) =>
    faultIf(!list(anyOf).some((one) => check(one, value, at).length === 0), at, "matches none of anyOf"),
  oneOf: ({ oneOf }, value, at, check) => {
    const matching = list(oneOf).filter((one) => check(one, value, at).length === 0).length;
    return faultIf(matching !== 1, at, `matches ${matching} of oneOf`);
  },
};

/** Members that the schema, with everything it is put together from, has a name for; null: any are allowed. */
function namedMembers(schema: JsonSchema, root: unknown): Set<string> | null {
  const { $ref, properties, additionalProperties, allOf } = schema;
  const isOpen = properties === undefined && $ref === undefined && allOf === undefined;
  if (isOpen || additionalProperties !== undefined) return null;
  const names = new Set(Object.keys(properties ?? {}));
  const parts = [
    ...list(allOf ?? []),
    ...($ref === undefined ? [] : [resolveRef(root, $ref as string) as JsonSchema]),
  ];
  for (const part of parts) {
    const named = namedMembers(part, root);
    if (named === null) return null;
    for (const name of named) names.add(name);
  }
  return names;
}

/** Everything wrong with `value`, as pointers with words; none when it is valid. */
export function faultsOf(
  schema: JsonSchema,
  value: unknown,
  { root, strict = false }: CheckOptions,
): string[] {
  const check = (one: JsonSchema, given: unknown, at: string, isPart: boolean): Faults => {
    const { $ref, ...keywords } = one;
    const faults =
      $ref === undefined ? [] : check(resolveRef(root, $ref as string) as JsonSchema, given, at, true);
    for (const [name, content] of Object.entries(keywords)) {
      if (ANNOTATIONS.has(name)) continue;
      const keyword = KEYWORDS[name];
      if (keyword === undefined) throw new Error(`unknown keyword ${name}: ${JSON.stringify(content)}`);
      // Alternatives and parts name some of the members only; whoever is made of them knows all.
      const inner: Check = (part, innerValue, innerAt) => check(part, innerValue, innerAt, innerAt === at);
      faults.push(...keyword(one, given, at, inner));
    }
    const names = strict && !isPart && isObject(given) ? namedMembers(one, root) : null;
    if (names !== null && isObject(given)) {
      for (const name of Object.keys(given))
        if (!names.has(name)) faults.push(`${at}/${name} is not described`);
    }
    return faults;
  };
  return check(schema, value, "", false);
}
