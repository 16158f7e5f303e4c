/** A JSON Schema of an operator: what it says holds, to the letter, or it is refused at the start. */
import { describe, expect, test } from "bun:test";
import { readJsonSchema } from "../../src/lib/json-schema.ts";

describe("a schema holds as it reads:", () => {
  const held: [document: unknown, good: unknown[], bad: unknown[]][] = [
    [true, [1, null, {}], []],
    [{}, [1, null, {}], []],
    [{ type: "string", minLength: 2, maxLength: 3 }, ["ab", "😀😀"], ["a", "😀", "abcd", 1]],
    [{ type: ["string", "null"], pattern: "^a" }, ["ab", null], ["ba", 1]],
    [{ type: "integer", minimum: 1, exclusiveMaximum: 4 }, [1, 3], [0, 4, 1.5, "1"]],
    [{ type: "number", multipleOf: 0.5 }, [1.5], [1.2]],
    [{ enum: ["a", 1, null, true] }, ["a", 1, null, true], ["b", 2, false]],
    [{ const: 5 }, [5], [6, "5"]],
    [{ type: "string", enum: ["a", "b"], description: "Which." }, ["a"], ["c", 1]],
    [
      { type: "array", items: { type: "string" }, minItems: 1, maxItems: 2 },
      [["a"]],
      [[], ["a", "b", "c"], [1]],
    ],
    [
      { type: "array", prefixItems: [{ type: "string" }], items: false, minItems: 1 },
      [["a"]],
      [[], ["a", 1]],
    ],
    [{ type: "array", uniqueItems: true }, [[1, 2]], [[1, 1]]],
    [
      { type: "object", properties: { a: { type: "string" } }, required: ["a"], additionalProperties: false },
      [{ a: "x" }],
      [{}, { a: 1 }, { a: "x", b: 1 }],
    ],
    [{ type: "object", properties: { a: true } }, [{ a: 1, b: 2 }, {}], [1]],
    [{ type: "object", additionalProperties: { type: "number" } }, [{ a: 1 }], [{ a: "x" }]],
    [{ type: "object", propertyNames: { type: "string", pattern: "^[a-z]$" } }, [{ a: 1 }], [{ ab: 1 }]],
    [{ type: "object", minProperties: 1, maxProperties: 2 }, [{ a: 1 }], [{}, { a: 1, b: 1, c: 1 }]],
    [{ anyOf: [{ type: "string" }, { type: "number" }] }, ["a", 1], [true]],
    [{ oneOf: [{ type: "integer" }, { type: "number", minimum: 5 }] }, [3, 5.5], [6, "a"]],
    [
      {
        allOf: [
          { type: "object", properties: { a: { type: "string" } }, required: ["a"] },
          { type: "object" },
        ],
      },
      [{ a: "x" }],
      [{}],
    ],
    [
      {
        $ref: "#/$defs/node",
        $defs: { node: { type: "object", properties: { next: { $ref: "#/$defs/node" } } } },
      },
      [{ next: { next: {} } }],
      [{ next: { next: 1 } }],
    ],
    [{ type: "string", format: "date-time" }, ["2026-11-23T05:00:00Z"], ["tomorrow"]],
    // A default is a note: the input is kept and handed on as it was sent.
    [
      { type: "object", properties: { a: { type: "string", default: "x" } }, required: ["a"] },
      [{ a: "y" }],
      [{}],
    ],
  ];
  test.each(held)("%j", (document, good, bad) => {
    const result = readJsonSchema(document);
    if (!result.ok) throw new Error(JSON.stringify(result.faults));
    for (const value of good)
      expect([value, result.schema.safeParse(value)]).toEqual([value, { success: true, data: value }]);
    for (const value of bad) expect([value, result.schema.safeParse(value).success]).toEqual([value, false]);
  });
});

describe("a schema that would not hold is refused:", () => {
  const refused: [document: unknown, ...faults: string[]][] = [
    [1, " must be a schema: a table, true or false"],
    [{ type: "objekt" }, "/type must be among object, array, string, number, integer, boolean, null"],
    [{ minLength: 3 }, '/minLength needs "type": "string" beside it'],
    [{ properties: { a: { type: "string" } } }, '/properties needs "type": "object" beside it'],
    [{ type: "object", required: ["a"] }, '/required names "a", which is not among the properties'],
    [{ type: "object", required: "a", properties: { a: true } }, "/required must be a list of names"],
    [{ type: "string", minLength: "3" }, "/minLength must be a whole number from 0"],
    [{ type: "string", pattern: "(" }, "/pattern is not a regular expression"],
    [
      { type: "string", format: "phone" },
      "/format must be one of date-time, date, time, duration, email, ipv4, ipv6, uri, uuid",
    ],
    [
      { type: "object", dependentRequired: { a: ["b"] } },
      "/dependentRequired is not a keyword this server holds to",
    ],
    [{ not: { type: "string" } }, "/not is not a keyword this server holds to"],
    [{ const: { a: 1 } }, "/const must be a text, a number, true, false or null"],
    [{ enum: [] }, "/enum must be a list of texts, numbers, true, false or null"],
    [{ $ref: "#/properties/a" }, "/$ref must be #/$defs/NAME, of a schema that is there"],
    [{ $ref: "https://a.example/s" }, "/$ref must be #/$defs/NAME, of a schema that is there"],
    [
      { anyOf: [{ type: "string" }], oneOf: [{ type: "string" }] },
      "/oneOf must stand alone: put the others into allOf",
    ],
    [{ type: "string", enum: ["a", 1] }, " lists 1, which its type does not allow"],
    [{ type: "string", enum: ["a"], maxLength: 3 }, "/maxLength cannot stand beside enum"],
    [
      { type: "string", $ref: "#/$defs/a", $defs: { a: true } },
      "/$ref must stand alone: put the others into allOf",
    ],
    [
      { allOf: [{ type: "object", additionalProperties: false }, { type: "object" }] },
      "/allOf/0/additionalProperties cannot close an object that other schemas describe as well",
    ],
    [
      { allOf: [{ $ref: "#/$defs/a" }], $defs: { a: { type: "object", additionalProperties: false } } },
      "/allOf/0/$ref cannot close an object that other schemas describe as well",
    ],
    [
      { type: "array", items: { type: "object", properties: { "a/b": 5 } } },
      "/items/properties/a~1b must be a schema: a table, true or false",
    ],
  ];
  test.each(refused)("%j", (document, ...faults) => {
    const result = readJsonSchema(document);
    expect(result.ok ? [] : result.faults.map(({ pointer, problem }) => `${pointer} ${problem}`)).toEqual(
      faults,
    );
  });
});
