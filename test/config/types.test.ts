/** `[types.NAME]` in holdline.toml: what is taken, the very words of what is refused, and that no secret is shown. */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { loadConfig } from "../../src/config.ts";
import { BUILTIN_TYPES } from "../../src/config/type-tables.ts";
import { createBuiltin } from "../../src/handlers/builtin.ts";
import { createSystemClock } from "../../src/lib/clock.ts";
import { LIMITS } from "../../src/protocol/limits.ts";
import { type Given, load, refused } from "./load.ts";

const HTTP = '[types.render.http]\nurl = "http://127.0.0.1:9100/render"\n';
const ONE = `[types.render]\n${HTTP}`;

test("a table with an endpoint is a type with the server's own limits", () => {
  const { config } = load({ file: ONE });
  expect(config.types).toHaveLength(1);
  expect(config.types[0]).toMatchObject({
    type: "render",
    output: ["text", "audio", "data"],
    maxAttempts: null,
    timeoutMs: null,
    http: {
      url: "http://127.0.0.1:9100/render",
      method: "POST",
      headers: {},
      answer: "auto",
      endMark: null,
      answerBytes: LIMITS.answerBytes,
    },
  });
});

test("keys are taken in the spelling of the file and in that of the wire, and the schema from the table", () => {
  const file = `[types."a.b"]\nmaxAttempts = 7\ntimeout_ms = 5\nidleMs = 6\noutput = "text, data"
[types."a.b".input]\ntype = "object"\nproperties.n = { type = "integer" }
[types."a.b".http]\nurl = "http://h:1/"\nmethod = "PUT"\ntextPointer = "/a/0"\njson_output = true\n`;
  const [one] = load({ file }).config.types;
  expect(one).toMatchObject({
    type: "a.b",
    maxAttempts: 7,
    timeoutMs: 5,
    idleMs: 6,
    output: ["text", "data"],
  });
  expect(one?.http).toMatchObject({ method: "PUT", textPointer: "/a/0", jsonOutput: true });
  expect(one?.input.document).toEqual({ type: "object", properties: { n: { type: "integer" } } });
  expect(one?.input.schema.safeParse({ n: 1.5 }).success).toBe(false);
});

test("a schema may stand in a file of its own", () => {
  const given = { file: `[types.render]\ninput = "schemas/r.json"\n${HTTP}` };
  const files = { "/somewhere/schemas/r.json": '{"type":"string","maxLength":3}' };
  expect(load({ ...given, files }).config.types[0]?.input.schema.safeParse("long").success).toBe(false);
});

test("headers and URL take variables of the environment, which are never shown", () => {
  const file = `[types.render]\n[types.render.http]\nurl = "http://\${RENDER_HOST}/r"
headers = { authorization = "Bearer \${RENDER_KEY}", x-api-key = "written-down", "x-b" = "\${RENDER_KEY}" }\n`;
  const env = { RENDER_KEY: "hush-hush", RENDER_HOST: "renderer:9100" };
  const { config, tables } = load({ file, env });
  const http = config.types[0]?.http;
  expect(http?.url).toBe("http://renderer:9100/r");
  expect(http?.headers).toEqual({
    authorization: "Bearer hush-hush",
    "x-api-key": "written-down",
    "x-b": "hush-hush",
  });
  expect(http?.secrets).toEqual(
    expect.arrayContaining(["hush-hush", "Bearer hush-hush", "written-down", "renderer:9100"]),
  );
  const shown = JSON.stringify(tables);
  expect(shown).not.toContain("hush-hush");
  expect(shown).not.toContain("written-down");
  expect(tables[0]?.toml).toContain('authorization = "Bearer ${RENDER_KEY}"');
  expect(tables[0]?.toml).toContain('x-api-key = "***"');
});

test("what is printed is the beginning of a holdline.toml that means the same", async () => {
  const text = await Bun.file(resolve(import.meta.dir, "../../examples/holdline.toml")).text();
  const env = { RENDER_KEY: "k" };
  const first = load({ file: text, env });
  const again = load({ file: first.tables.map(({ toml }) => toml).join("\n"), env });
  const plain = (types: typeof first.config.types): unknown => JSON.parse(JSON.stringify(types));
  expect(plain(again.config.types)).toEqual(plain(first.config.types));
});

test("the example is good, and says what it says it does", () => {
  const example = resolve(import.meta.dir, "../../examples/holdline.toml");
  const { config } = loadConfig({
    flags: { config: example },
    env: { RENDER_KEY: "k" },
    cwd: "/",
    readFile: (path) => (path === example ? readFileSync(example, "utf8") : null),
  });
  expect(config.types.map(({ type }) => type)).toEqual(["render", "generate", "assistant", "narrate"]);
  expect(config.schedules).toMatchObject([
    { name: "nightly", type: "render", userId: "schedule:nightly", catchUp: "one" },
  ]);
});

test("the names of the built-in types are those of the built-in handlers", async () => {
  const none = { chatUrl: null, chatKey: null, chatModel: null, speechKey: null, speechModel: null };
  const builtin = createBuiltin({
    ...none,
    speechUrl: null,
    speechVoice: null,
    tokens: "on",
    clock: createSystemClock(),
    kill: () => process.exit(1),
  });
  expect(builtin.handlers.map(({ type }) => type)).toEqual([...BUILTIN_TYPES]);
  await builtin.stop();
});

describe("a table is refused in words:", () => {
  const bad: [what: string, given: Given, ...messages: string[]][] = [
    [
      "a table of another name",
      { file: "[typs.render]\n" },
      "typs (holdline.toml line 1) is not a setting. Did you mean [types.NAME]?",
    ],
    [
      "no table",
      { file: "types = 1\n" },
      "types (holdline.toml line 1) is not a table. Allowed: [types.NAME].",
    ],
    [
      "a type that is no table",
      { file: "[types]\nrender = 1\n" },
      "types.render (holdline.toml line 2) is not a table. Allowed: [types.render].",
    ],
    [
      "an unknown key",
      { file: `[types.render]\ntimeout_ms = 5\nmax_atempts = 3\n${HTTP}` },
      "types.render.max_atempts (holdline.toml line 3) is not a key of [types.render]. Did you mean max_attempts?",
    ],
    [
      "an unknown key of the endpoint",
      { file: `${ONE}txtPointer = "/a"\n` },
      "types.render.http.txtPointer (holdline.toml line 4) is not a key of [types.render.http]. Did you mean text_pointer?",
    ],
    [
      "a key in both spellings",
      { file: `[types.render]\nmax_attempts = 1\nmaxAttempts = 2\n${HTTP}` },
      "types.render.maxAttempts (holdline.toml line 3) is given twice.",
    ],
    [
      "a value out of range",
      { file: `[types.render]\nmax_attempts = 26\n${HTTP}` },
      "types.render.max_attempts (holdline.toml line 2) is 26. Allowed: a whole number from 1 to 25.",
    ],
    [
      "a value of another kind",
      { file: `[types.render]\nconcurrency = "many"\n${HTTP}` },
      'types.render.concurrency (holdline.toml line 2) is "many". Allowed: a whole number from 1 to 100000.',
    ],
    [
      "an output that is none",
      { file: `[types.render]\noutput = ["texts"]\n${HTTP}` },
      'types.render.output (holdline.toml line 2) "texts" is none of them: did you mean text?. Allowed: some of text, audio, data, separated by commas.',
    ],
    [
      "the name of a built-in type",
      { file: '[types.chat.http]\nurl = "http://h/"\n' },
      "types.chat (holdline.toml line 1) has the name of a built-in type: choose another one.",
    ],
    [
      "a name that is none",
      { file: '[types."a b".http]\nurl = "http://h/"\n' },
      "types.a b (holdline.toml line 1) is not the name of a job type.",
    ],
    [
      "an endpoint without a URL",
      { file: "[types.render.http]\n" },
      "types.render.http.url (holdline.toml line 1) is missing. Allowed: a URL that begins with http:// or https://.",
    ],
    [
      "a URL that is none",
      { file: '[types.render.http]\nurl = "renderer:9100"\n' },
      "types.render.http.url (holdline.toml line 2) has the scheme renderer. Allowed: a URL that begins with http:// or https://.",
    ],
    [
      "a URL with a password",
      { file: '[types.render.http]\nurl = "http://a:hush@h/"\n' },
      "types.render.http.url (holdline.toml line 2) carries a user name or password. Allowed: a URL that begins with http:// or https://.",
    ],
    [
      "a variable that is not set",
      { file: `${ONE}headers.authorization = "Bearer \${RENDER_KEY}"\n` },
      "types.render.http.headers.authorization (holdline.toml line 4) needs the variable RENDER_KEY, which is not set.",
    ],
    [
      "a header that is ours",
      { file: `${ONE}[types.render.http.headers]\nIdempotency-Key = "a"\n` },
      "types.render.http.headers.Idempotency-Key (holdline.toml line 5) is a header that Holdline sets itself.",
    ],
    [
      "a header with a line break",
      { file: `${ONE}[types.render.http.headers]\nx = "a\\nb"\n` },
      "types.render.http.headers.x (holdline.toml line 5) holds what no header may hold.",
    ],
    [
      "a pointer that is none",
      { file: `${ONE}text_pointer = "response"\n` },
      'types.render.http.text_pointer (holdline.toml line 4) "response" is not a JSON Pointer such as /choices/0/delta/content. Allowed: a JSON Pointer.',
    ],
    [
      "a schema that says too much",
      {
        file: `[types.render]\ninput = { type = "object", if = {}, properties = { a = { type = "strin" } } }\n${HTTP}`,
      },
      "types.render.input (holdline.toml line 2) cannot be held to: /if is not a keyword this server holds to.",
      "types.render.input (holdline.toml line 2) cannot be held to: /properties/a/type must be among object, array, string, number, integer, boolean, null.",
    ],
    [
      "a schema in a file that is not there",
      { file: `[types.render]\ninput = "r.json"\n${HTTP}` },
      'types.render.input (holdline.toml line 2) names "r.json", which cannot be read (it is not there). Allowed: a JSON Schema as a table, or the path of a file that holds one.',
    ],
  ];
  test.each(bad)("%s", (_, given, ...messages) => {
    expect(refused(given)).toEqual(messages);
  });
});
