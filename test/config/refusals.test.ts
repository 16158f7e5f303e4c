/** The very words in which bad values, contradictions and what this version lacks are refused. */
import { describe, expect, test } from "bun:test";
import { type Given, refused } from "./load.ts";

const OPEN = { HOLDLINE_AUTH: "open" };
const KEYS = "HOLDLINE_AUTH_SECRET, HOLDLINE_AUTH_JWKS_URL, HOLDLINE_AUTH_PUBLIC_KEY";
const SECRET = "s".repeat(32);
const PORT = "Allowed: a whole number from 0 to 65535.";
const HTTP_URL = "Allowed: a URL that begins with http:// or https://.";
const ORIGINS = "Allowed: exact origins such as https://app.example.com, separated by commas.";
const PROXIES = "Allowed: IP addresses or CIDR blocks, separated by commas.";
const DATABASE = "Allowed: sqlite:FILE, sqlite::memory: or postgres://….";
const HOST = "Allowed: an IP address or a host name.";
const PUBLIC = "Allowed: an origin such as https://hold.example.com.";
const OPEN_HOST =
  "can be reached from other machines, and no key of user tokens is configured. Allowed: a key of user tokens (HOLDLINE_AUTH_SECRET, HOLDLINE_AUTH_JWKS_URL, HOLDLINE_AUTH_PUBLIC_KEY), HOLDLINE_AUTH=open if anyone who reaches it may use it, or a loopback host such as 127.0.0.1.";

describe("one bad value is refused:", () => {
  const bad: [variable: string, value: string, message: string][] = [
    ["PORT", "80a", `is "80a". ${PORT}`],
    ["PORT", "65536", `is 65536. ${PORT}`],
    ["PORT", "-1", `is -1. ${PORT}`],
    ["PORT", "80.5", `is "80.5". ${PORT}`],
    ["PORT", "1e3", `is "1e3". ${PORT}`],
    ["PORT", "", `is empty: give it a value or leave it out. ${PORT}`],
    ["PORT", "tcp://10.0.0.1:8787", `is "tcp://10.0.0.1:8787". ${PORT}`],
    ["PING_MS", "9", "is 9. Allowed: a whole number from 10 to 2147483647, in milliseconds."],
    ["QUEUE_BYTES", "1", "is 1. Allowed: a whole number from 1024 to 1073741824, in bytes."],
    ["CONCURRENCY", "0", "is 0. Allowed: a whole number from 1 to 100000."],
    ["DURABILITY", "none", 'is "none". Allowed: one of power, process.'],
    ["LOG", "INFO", 'is "INFO". Allowed: one of debug, info, warn, error, silent.'],
    ["AUTH", "none", 'is "none". Allowed: open.'],
    ["TOKENS", "yes", 'is "yes". Allowed: one of on, off, chaos.'],
    ["HOST", "http://localhost", `"http://localhost" is a URL, and only the host belongs here. ${HOST}`],
    [
      "HOST",
      "localhost:80",
      `"localhost:80" is neither an IP address nor a host name (the port is a setting of its own). ${HOST}`,
    ],
    [
      "HOST",
      "127.0.0.256",
      `"127.0.0.256" is neither an IP address nor a host name (the port is a setting of its own). ${HOST}`,
    ],
    ["PUBLIC_URL", "hold.example", `"hold.example" is not a URL. ${PUBLIC}`],
    ["PUBLIC_URL", "ws://hold.example", `"ws://hold.example" has the scheme ws. ${PUBLIC}`],
    [
      "PUBLIC_URL",
      "https://hold.example/app",
      `"https://hold.example/app" has a path or a query: write https://hold.example. ${PUBLIC}`,
    ],
    ["ALLOWED_ORIGINS", "https://a.example,*", `"*" would let in anyone, which is never allowed. ${ORIGINS}`],
    ["ALLOWED_ORIGINS", "null", `"null" would let in anyone, which is never allowed. ${ORIGINS}`],
    [
      "ALLOWED_ORIGINS",
      "https://a.example/",
      `"https://a.example/" is not how a browser writes an origin: write https://a.example. ${ORIGINS}`,
    ],
    [
      "ALLOWED_ORIGINS",
      "https://a.example:443",
      `"https://a.example:443" is not how a browser writes an origin: write https://a.example. ${ORIGINS}`,
    ],
    ["ALLOWED_ORIGINS", "a.example", `"a.example" is not an origin. ${ORIGINS}`],
    ["ALLOWED_ORIGINS", "file://share", `"file://share" is not an origin. ${ORIGINS}`],
    ["ALLOWED_ORIGINS", "file:///a", `"file:///a" is not an origin. ${ORIGINS}`],
    ["TRUSTED_PROXIES", "10.0.0.0/33", `"10.0.0.0/33" needs a prefix length from 0 to 32. ${PROXIES}`],
    ["TRUSTED_PROXIES", "::1/129", `"::1/129" needs a prefix length from 0 to 128. ${PROXIES}`],
    ["TRUSTED_PROXIES", "proxy", `"proxy" is neither an IP address nor a CIDR block. ${PROXIES}`],
    ["DATABASE_URL", "holdline.db", `"holdline.db" has no scheme. ${DATABASE}`],
    ["DATABASE_URL", "mysql://h/db", `"mysql://h/db" has the unknown scheme mysql. ${DATABASE}`],
    ["DATABASE_URL", "sqlite:", `"sqlite:" names no file. ${DATABASE}`],
    [
      "DATABASE_URL",
      "sqlite:a?mode=ro",
      `"sqlite:a?***" has options (?…), which are settings of their own here. ${DATABASE}`,
    ],
    ["AUTH_COOKIE", "a b", '"a b" is not a cookie name. Allowed: the name of a cookie.'],
    ["AUTH_SECRET", "short", "is shorter than 32 bytes. Allowed: 32 bytes or more."],
    ["AUTH_PUBLIC_KEY", "abc", '"abc" is not a PEM public key. Allowed: a public key in PEM.'],
    [
      "AUTH_PUBLIC_KEY",
      "-----BEGIN PRIVATE KEY-----\nAAAA",
      '"***" holds a private key: only the public one belongs here. Allowed: a public key in PEM.',
    ],
    ["CHAT_URL", "ftp://a", `"ftp://a" has the scheme ftp. ${HTTP_URL}`],
    ["CHAT_URL", "https://u:p@a/v1", `"https://***@a/v1" carries a user name or password. ${HTTP_URL}`],
    ["CHAT_URL", "https://a/v1#x", `"https://a/v1#x" has a fragment (#…). ${HTTP_URL}`],
    [
      "WORKER_TYPES",
      "a b",
      '"a b" is not the name of a job type. Allowed: names of job types, separated by commas.',
    ],
  ];
  test.each(bad)("HOLDLINE_%s=%j", (variable, value, message) => {
    const name = `HOLDLINE_${variable}`;
    expect(refused({ env: { [name]: value } })).toEqual([`${name} ${message}`]);
  });

  const badFile: [line: string, message: string][] = [
    ['port = "80"', `port (holdline.toml line 2) is "80". ${PORT}`],
    ["port = 80.5", `port (holdline.toml line 2) is 80.5. ${PORT}`],
    ["port = inf", `port (holdline.toml line 2) is null. ${PORT}`],
    ["host = 1", `host (holdline.toml line 2) is 1. ${HOST}`],
    [
      "log = 2020-01-01",
      "log (holdline.toml line 2) is a table or a date. Allowed: one of debug, info, warn, error, silent.",
    ],
    [
      "[log]",
      "log (holdline.toml line 2) is a table or a date. Allowed: one of debug, info, warn, error, silent.",
    ],
    ["trusted_proxies = [1]", `trusted_proxies (holdline.toml line 2) is [1]. ${PROXIES}`],
    [
      'chat_key = ""',
      "chat_key (holdline.toml line 2) is empty: give it a value or leave it out. Allowed: text.",
    ],
    ["chat_key = 5", "chat_key (holdline.toml line 2) is not allowed. Allowed: text."],
  ];
  test.each(badFile)("%s", (line, message) => {
    expect(refused({ file: `# first\n${line}\n` })).toEqual([message]);
  });
});

describe("settings that do not go together are refused:", () => {
  const bad: [what: string, given: Given, messages: string[]][] = [
    ["open mode beyond this machine", { flags: { host: "0.0.0.0" } }, [`--host "0.0.0.0" ${OPEN_HOST}`]],
    [
      "open mode on a name",
      { env: { HOLDLINE_HOST: "example.com" } },
      [`HOLDLINE_HOST "example.com" ${OPEN_HOST}`],
    ],
    [
      "a look-alike of loopback",
      { flags: { host: "127.0.0.1.example.com" } },
      [`--host "127.0.0.1.example.com" ${OPEN_HOST}`],
    ],
    ["every IPv6 address", { flags: { host: "::" } }, [`--host "::" ${OPEN_HOST}`]],
    [
      "two keys of user tokens",
      { env: { HOLDLINE_AUTH_SECRET: SECRET, HOLDLINE_AUTH_JWKS_URL: "https://id.example/jwks" } },
      [
        "HOLDLINE_AUTH_JWKS_URL is one key of user tokens too many. Allowed: exactly one of HOLDLINE_AUTH_SECRET, HOLDLINE_AUTH_JWKS_URL.",
      ],
    ],
    [
      "open and closed at once",
      { env: { ...OPEN, HOLDLINE_AUTH_SECRET: SECRET } },
      ["HOLDLINE_AUTH contradicts the key of user tokens that is set as well. Allowed: one of the two."],
    ],
    [
      "an issuer without a key",
      { env: { HOLDLINE_AUTH_ISSUER: "i" } },
      [`HOLDLINE_AUTH_ISSUER has no effect without a key of user tokens (${KEYS}).`],
    ],
    [
      "a cookie without a key",
      { env: { HOLDLINE_AUTH_COOKIE: "user" } },
      [`HOLDLINE_AUTH_COOKIE has no effect without a key of user tokens (${KEYS}).`],
    ],
    [
      "an audience without a key",
      { env: { HOLDLINE_AUTH_AUDIENCE: "a" } },
      [`HOLDLINE_AUTH_AUDIENCE has no effect without a key of user tokens (${KEYS}).`],
    ],
    [
      "strict binding without a key",
      { env: { HOLDLINE_AUTH_BINDING: "strict" } },
      [`HOLDLINE_AUTH_BINDING has no effect without a key of user tokens (${KEYS}).`],
    ],
    [
      "sessions in another database",
      { env: { HOLDLINE_DATABASE_URL: "postgres://h/a", HOLDLINE_SESSIONS_URL: "postgres://h/b" } },
      [
        "HOLDLINE_SESSIONS_URL names a database other than HOLDLINE_DATABASE_URL, which sessions cannot be kept in. Allowed: database, or a Redis URL.",
      ],
    ],
    [
      "sessions in something else",
      { env: { HOLDLINE_SESSIONS_URL: "memcached://h" } },
      [
        'HOLDLINE_SESSIONS_URL "memcached://h" has the unknown scheme memcached. Allowed: database, or a Redis URL.',
      ],
    ],
    [
      "a chat key without its server",
      { env: { HOLDLINE_CHAT_KEY: "k" } },
      ["HOLDLINE_CHAT_KEY has no effect without HOLDLINE_CHAT_URL."],
    ],
    [
      "a speech model without its server",
      { env: { HOLDLINE_SPEECH_MODEL: "m" } },
      ["HOLDLINE_SPEECH_MODEL has no effect without HOLDLINE_SPEECH_URL."],
    ],
  ];
  test.each(bad)("%s", (_, given, messages) => {
    expect(refused(given)).toEqual(messages);
  });

  test("a bad key of user tokens is not taken for open mode", () => {
    expect(refused({ env: { HOLDLINE_HOST: "0.0.0.0", HOLDLINE_AUTH_SECRET: "" } })).toEqual([
      "HOLDLINE_AUTH_SECRET is empty: give it a value or leave it out. Allowed: 32 bytes or more.",
    ]);
  });
});

test.each(["gateway", "api", "worker"])("the role %s alone is refused: nobody would do the rest", (role) => {
  expect(refused({ env: { HOLDLINE_ROLE: role } })).toEqual([
    `HOLDLINE_ROLE "${role}" leaves the rest to other nodes, and HOLDLINE_REDIS_URL, by which nodes find each other, is not set. Allowed: all, or another role together with HOLDLINE_REDIS_URL.`,
  ]);
});

test.each(["gateway", "api", "worker"])("the role %s on a database file of its own is refused", (role) => {
  expect(refused({ env: { HOLDLINE_ROLE: role, HOLDLINE_REDIS_URL: "redis://cache" } })).toEqual([
    `HOLDLINE_ROLE "${role}" leaves the rest to other nodes, and a database file of its own is shared with none. Allowed: all, or another role together with HOLDLINE_DATABASE_URL=postgres://….`,
  ]);
});

test("a type that is built in cannot be given to workers", () => {
  expect(refused({ env: { HOLDLINE_WORKER_TYPES: "render,chat" } })).toEqual([
    "HOLDLINE_WORKER_TYPES names chat, which is built in. Allowed: other names.",
  ]);
});
