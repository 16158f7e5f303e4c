/** JSON from strangers: what is refused beside bad syntax, where the fault is said to be, and the canonical text. */
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { canonicalJson, parseJson, pointerToken } from "../../src/lib/json.ts";

const parse = (text: string, depth = 64) => parseJson(text, { depth });

const anyJson = fc.jsonValue({ maxDepth: 4 });

describe("parsing", () => {
  test("gives what JSON.parse gives, for all that is plain", () => {
    fc.assert(
      fc.property(anyJson, (value) => {
        const text = JSON.stringify(value);
        fc.pre(!/\\u0000|\\ud[89a-f]|"__proto__"/.test(text));
        const result = parse(text);
        expect(result.ok).toBe(true);
        if (result.ok) expect(result.value).toEqual(JSON.parse(text));
      }),
    );
  });

  test.each([
    ["nothing", ""],
    ["two values", "1 2"],
    ["a trailing comma", "[1,]"],
    ["single quotes", "{'a':1}"],
    ["a string without end", '{"a":"b'],
    ["a bare word", "undefined"],
    ["NaN", "NaN"],
    ["a control character in a string", '"a\nb"'],
    ["brackets that do not match", "[[}"],
  ])("refuses %s as no JSON", (_name, text) => {
    expect(parse(text)).toEqual({ ok: false, fault: { pointer: "", detail: "is not valid JSON" } });
  });

  test("takes nesting up to the bound, counted outside strings only", () => {
    const nested = (depth: number): string => "[".repeat(depth) + "]".repeat(depth);
    expect(parse(nested(64)).ok).toBe(true);
    expect(parse(nested(65))).toEqual({
      ok: false,
      fault: { pointer: "", detail: "is nested deeper than 64 levels" },
    });
    expect(parse(`{"a":${nested(2)}}`, 3).ok).toBe(true);
    expect(parse(`{"a":${nested(3)}}`, 3).ok).toBe(false);
    expect(parse(`[${'"[[[[", '.repeat(3)}"\\"[[[["]`, 1).ok).toBe(true);
    // Deep enough to break a parser that recurses: refused before it is parsed.
    expect(parse("[".repeat(1_000_000)).ok).toBe(false);
    expect(parse('{"a":'.repeat(1_000_000)).ok).toBe(false);
  });

  const twice = "names a member twice";
  test.each([
    ["side by side", '{"a":1,"a":1}'],
    ["deep inside", '[{"b":[{"a":1,"c":{},"a":2}]}]'],
    ["written differently", '{"a":1,"\\u0061":2}'],
    ["with a colon in its value", '{"a":":","a":"\\":"}'],
  ])("refuses a member given twice: %s", (_name, text) => {
    expect(parse(text)).toEqual({ ok: false, fault: { pointer: "", detail: twice } });
  });

  test("takes the same name in different objects, and colons in strings and names", () => {
    const text = '{"a":{"a":":{}"},"b":[{"a":1},{"a":"\\"a\\":"}],":":"::","\\\\":{"x\\"y":1}}';
    expect(parse(text)).toEqual({ ok: true, value: JSON.parse(text) });
  });

  test("takes names that every object knows, but not the one that would change what it is", () => {
    expect(parse('{"constructor":1,"toString":{"hasOwnProperty":2}}')).toMatchObject({ ok: true });
    for (const name of ["__proto__", "\\u005f_proto__"]) {
      expect(parse(`{"a":[{"${name}":{"polluted":true}}]}`)).toEqual({
        ok: false,
        fault: { pointer: "/a/0/__proto__", detail: "is not allowed" },
      });
    }
    expect("polluted" in {}).toBe(false);
  });

  test.each([
    ["a number beyond a double", '{"a":[1,1e400]}', "/a/1", "is a number out of range"],
    ["one below", "-1e400", "", "is a number out of range"],
    ["a NUL", '{"a":{"b":"x\\u0000"}}', "/a/b", "holds a NUL character"],
    ["a lone high surrogate", '["\\ud83d"]', "/0", "holds a lone surrogate"],
    ["a lone low surrogate", '["ok","\\ude00x"]', "/1", "holds a lone surrogate"],
    ["surrogates the wrong way round", '["\\ude00\\ud83d"]', "/0", "holds a lone surrogate"],
    ["a NUL in a name", '{"a":{"b\\u0000":1}}', "/a", "has a name that holds a NUL character"],
    ["a lone surrogate in a name", '{"\\ud800":1}', "", "has a name that holds a lone surrogate"],
    ["a name that has to be escaped", '{"a/b":{"c~d":"\\u0000"}}', "/a~1b/c~0d", "holds a NUL character"],
  ])("refuses %s and says where", (_name, text, pointer, detail) => {
    expect(parse(text)).toEqual({ ok: false, fault: { pointer, detail } });
  });

  test("takes what only looks like a fault", () => {
    for (const text of ['"\\ud83d\\ude00"', "1e308", "-0", "123456789012345678901234567890", '"\\\\u0000"']) {
      expect(parse(text)).toEqual({ ok: true, value: JSON.parse(text) });
    }
  });

  test("names the first fault of several", () => {
    expect(parse('["\\u0000",1e400]')).toMatchObject({ fault: { pointer: "/0" } });
    expect(parse('{"b\\u0000":"\\u0000"}')).toMatchObject({ fault: { pointer: "" } });
  });

  test("never says anything of the content", () => {
    const result = parse('{"password":"secret\\u0000"}');
    expect(JSON.stringify(result)).not.toContain("secret");
  });
});

test("a pointer's tokens are escaped in the order RFC 6901 asks for", () => {
  expect(["a", 0, "a/b", "m~n", "~1", ""].map(pointerToken)).toEqual([
    "/a",
    "/0",
    "/a~1b",
    "/m~0n",
    "/~01",
    "/",
  ]);
});

/** The same value with the members of every object in another order. */
function shuffled(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(shuffled);
  if (typeof value !== "object" || value === null) return value;
  const members = Object.entries(value).map(([name, member]) => [name, shuffled(member)] as const);
  return Object.fromEntries(members.toReversed());
}

describe("canonical text", () => {
  test("is JSON for the same value", () => {
    fc.assert(
      fc.property(anyJson, (value) => {
        const plain: unknown = JSON.parse(JSON.stringify(value));
        expect(JSON.parse(canonicalJson(plain))).toEqual(plain);
      }),
    );
  });

  test("is the same for two values exactly when they are equal, whatever the order of members", () => {
    // Few names and leaves, so that equal values are met often enough.
    const small = fc.letrec((tie) => ({
      value: fc.oneof(
        { depthSize: "small", withCrossShrink: true },
        fc.constantFrom<unknown>(null, true, 0, 1, "", "a", "b"),
        fc.array(tie("value"), { maxLength: 2 }),
        fc.dictionary(fc.constantFrom("a", "b", "c"), tie("value"), { maxKeys: 2 }),
      ),
    })).value;
    let equal = 0;
    fc.assert(
      fc.property(small, small, (left, right) => {
        expect(canonicalJson(shuffled(left))).toBe(canonicalJson(left));
        const same = Bun.deepEquals(left, right);
        if (same) equal += 1;
        expect(canonicalJson(left) === canonicalJson(shuffled(right))).toBe(same);
      }),
      { numRuns: 500 },
    );
    expect(equal).toBeGreaterThan(5);
  });

  test("sorts names by their code units and leaves out what JSON leaves out", () => {
    expect(canonicalJson({ b: 1, a: [undefined, { d: undefined, c: "ü" }], B: null, "10": 1, "9": 2 })).toBe(
      '{"10":1,"9":2,"B":null,"a":[null,{"c":"ü"}],"b":1}',
    );
    expect(canonicalJson(undefined)).toBe("null");
  });

  test("tells text from what it looks like", () => {
    expect(canonicalJson({ a: "1" })).not.toBe(canonicalJson({ a: 1 }));
    expect(canonicalJson({ a: "null" })).not.toBe(canonicalJson({ a: null }));
    expect(canonicalJson({ 'a":1,"b': 2 })).not.toBe(canonicalJson({ a: 1, b: 2 }));
  });
});
