/** The checker that the tests of the documents rely on finds what is wrong. */
import { describe, expect, test } from "bun:test";
import { faultsOf, type JsonSchema } from "./json-schema.ts";

const root = {
  schemas: {
    Point: {
      type: "object",
      properties: { x: { type: "integer" }, y: { type: "integer" } },
      required: ["x"],
    },
  },
};
const point: JsonSchema = { $ref: "#/schemas/Point" };

describe("the checker", () => {
  const cases: [schema: JsonSchema, value: unknown, faults: string[]][] = [
    [point, { x: 1, y: 2 }, []],
    [point, { y: 2 }, ["/x is missing"]],
    [point, { x: 1.5 }, ["/x is not integer"]],
    [point, { x: 1, z: 3 }, ["/z is not described"]],
    [point, [], ["/ is not object"]],
    [{ type: "array", items: point }, [{ x: 1 }, { x: "1" }], ["/1/x is not integer"]],
    [{ allOf: [point, { properties: { x: { enum: [1, 2] } } }] }, { x: 3 }, ["/x is none of 1,2"]],
    [{ allOf: [point, { properties: { z: {} } }] }, { x: 1, z: 3 }, []],
    [{ oneOf: [{ const: 1 }, { type: "integer" }] }, 1, ["/ matches 2 of oneOf"]],
    [{ anyOf: [{ type: "null" }, { type: "string" }] }, 7, ["/ matches none of anyOf"]],
    [{ type: "string", format: "date-time" }, "2025-10-14", ["/ is no date-time"]],
    [{ type: "string", format: "date-time" }, "2025-10-14T15:20:00.000Z", []],
    [{ type: "string", format: "uuid" }, "0199e3f0", ["/ is no uuid"]],
    [{ type: "object", additionalProperties: false }, { a: 1 }, ["/a may not be there"]],
    [{ type: "object", additionalProperties: { type: "string" } }, { a: 1 }, ["/a is not string"]],
    [{ minimum: 1, maximum: 3 }, 4, ["/ is too great"]],
    [{ maxLength: 2, minLength: 1 }, "abc", ["/ is too long"]],
    [
      { properties: { kind: { const: "a" }, inner: { properties: { b: {} } } } },
      { inner: { c: 1 } },
      ["/inner/c is not described"],
    ],
  ];
  test.each(cases)("of %j finds in %j: %j", (schema, value, faults) => {
    expect(faultsOf(schema, value, { root, strict: true })).toEqual(faults);
  });

  test("leaves members alone that nobody named, unless it is strict", () => {
    expect(faultsOf(point, { x: 1, z: 3 }, { root })).toEqual([]);
  });

  test("stops at what it does not know", () => {
    expect(() => faultsOf({ unevaluatedProperties: false }, {}, { root })).toThrow("unevaluatedProperties");
    expect(() => faultsOf({ $ref: "#/schemas/Line" }, {}, { root })).toThrow("nothing stands at");
    expect(() => faultsOf({ format: "email" }, "a", { root })).toThrow("email");
  });
});
