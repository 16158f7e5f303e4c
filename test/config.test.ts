/** Configuration from its three places: what is taken, what wins, what is unknown, and what is never shown. */
import { describe, expect, test } from "bun:test";
import { resolve } from "node:path";
import { type Config, ConfigError, describeConfig, loadConfig } from "../src/config.ts";
import { displayed } from "../src/config/display.ts";
import { editDistance, nearestOf } from "../src/config/names.ts";
import { LIMITS } from "../src/protocol/limits.ts";
import { CWD, type Given, load, refused } from "./config/load.ts";

const OPEN = { HOLDLINE_AUTH: "open" };

describe("a good configuration", () => {
  test("needs nothing at all", () => {
    const { config, sources, warnings } = load({});
    expect(config).toMatchObject({
      host: "127.0.0.1",
      port: 8787,
      publicUrl: null,
      allowedOrigins: null,
      trustedProxies: [],
      dataDir: "/somewhere/data",
      databaseUrl: "sqlite:/somewhere/data/holdline.db",
      durability: "power",
      role: "all",
      auth: null,
      authCookie: "__Host-holdline",
      openMode: true,
      tokens: "on",
      log: "info",
      drainMs: LIMITS.drainMs,
      roomsMax: LIMITS.rooms,
      eventsRetentionMs: 86_400_000,
      jobsRetentionMs: 604_800_000,
      idempotencyRetentionMs: 86_400_000,
    });
    expect(Object.values(sources).map(({ kind }) => kind)).toEqual(Object.keys(sources).map(() => "default"));
    expect(warnings).toEqual([]);
  });

  const good: [what: string, given: Given, expected: Partial<Config>][] = [
    [
      "flags",
      { flags: { port: "0", "data-dir": "x", "frames-per-minute": "0" } },
      {
        port: 0,
        dataDir: "/somewhere/x",
        databaseUrl: "sqlite:/somewhere/x/holdline.db",
        framesPerMinute: 0,
      },
    ],
    ["variables", { env: { HOLDLINE_PING_MS: "50", PATH: "/bin" } }, { pingMs: 50 }],
    [
      "the file, with lists in both spellings",
      {
        file: 'port = 1\ntrusted_proxies = ["10.0.0.0/8", "::1"]\nallowed_origins = "https://a.example, http://b:81"',
      },
      {
        port: 1,
        trustedProxies: ["10.0.0.0/8", "::1"],
        allowedOrigins: ["https://a.example", "http://b:81"],
      },
    ],
    [
      "a file with another name",
      {
        flags: { config: "etc/other.toml" },
        files: { "/somewhere/etc/other.toml": "port = 2" },
        file: "port = 1",
      },
      { port: 2 },
    ],
    [
      "an empty list, which is not the same as none",
      { file: "allowed_origins = []" },
      { allowedOrigins: [] },
    ],
    ["a list of one", { flags: { "trusted-proxies": "192.0.2.7" } }, { trustedProxies: ["192.0.2.7"] }],
    [
      "origins of apps",
      { flags: { "allowed-origins": "capacitor://localhost" } },
      { allowedOrigins: ["capacitor://localhost"] },
    ],
    [
      "a public URL, kept as an origin",
      { flags: { "public-url": "https://Hold.Example:443/" } },
      { publicUrl: "https://hold.example" },
    ],
    [
      "a database in memory",
      { flags: { "database-url": "sqlite::memory:" } },
      { databaseUrl: "sqlite::memory:" },
    ],
    [
      "a relative database",
      { flags: { "database-url": "sqlite:a/b.db" } },
      { databaseUrl: "sqlite:/somewhere/a/b.db" },
    ],
    [
      "an absolute database",
      { flags: { "database-url": "sqlite:///a/b.db" } },
      { databaseUrl: "sqlite:/a/b.db" },
    ],
    [
      "any host when open on purpose",
      { flags: { host: "0.0.0.0" }, env: OPEN },
      { host: "0.0.0.0", auth: "open", openMode: true },
    ],
    ["loopback in another spelling", { flags: { host: "0:0:0:0:0:0:0:1" } }, { openMode: true }],
    ["loopback by name", { flags: { host: "localhost" } }, { host: "localhost" }],
    ["the rest of 127.0.0.0/8", { flags: { host: "127.9.9.9" } }, { host: "127.9.9.9" }],
    ["tokens as they are asked for", { flags: { tokens: "chaos" } }, { tokens: "chaos" }],
    ["tokens switched off", { flags: { tokens: "off" } }, { tokens: "off" }],
    [
      "an upstream",
      {
        env: {
          HOLDLINE_CHAT_URL: "http://localhost:11434/v1",
          HOLDLINE_CHAT_KEY: "k",
          HOLDLINE_CHAT_MODEL: "m",
        },
      },
      { chatUrl: "http://localhost:11434/v1", chatKey: "k", chatModel: "m" },
    ],
  ];
  test.each(good)("is taken from %s", (_, given, expected) => {
    expect(load(given).config).toMatchObject(expected);
  });

  test("comes from the strongest place, and says from which", () => {
    const file = "port = 1\nhost = 'localhost'\nping_ms = 11";
    const env = { HOLDLINE_PORT: "2", HOLDLINE_HOST: "127.0.0.2" };
    const { config, sources } = load({ file, env, flags: { port: "3" } });
    expect([config.port, config.host, config.pingMs]).toEqual([3, "127.0.0.2", 11]);
    expect([sources.port, sources.host, sources.pingMs, sources.log]).toEqual([
      { kind: "flag", name: "--port" },
      { kind: "environment", name: "HOLDLINE_HOST" },
      { kind: "file", name: "ping_ms (holdline.toml line 3)" },
      { kind: "default", name: "default" },
    ]);
  });

  test("may be weaker and wrong where a stronger place is right", () => {
    expect(load({ env: { HOLDLINE_PORT: "eighty" }, flags: { port: "80" } }).config.port).toBe(80);
  });

  test("is warned about Redis beside a database file that nobody else has", () => {
    const redis = { HOLDLINE_REDIS_URL: "redis://cache" };
    expect(load({ env: redis }).warnings).toEqual([
      "HOLDLINE_REDIS_URL joins no servers that each have a database file of their own: nodes share a PostgreSQL database (HOLDLINE_DATABASE_URL=postgres://…), processes of one machine its data folder (HOLDLINE_PROCESSES).",
    ]);
    expect(load({ env: { ...redis, HOLDLINE_PROCESSES: "2" } }).warnings).toEqual([]);
    expect(load({ env: { ...redis, HOLDLINE_DATABASE_URL: "postgres://a@b/c" } }).warnings).toEqual([]);
  });

  test("is warned about what has no effect and is often set for a whole machine", () => {
    const { warnings, config } = load({ env: { OTEL_EXPORTER_OTLP_ENDPOINT: "http://collector:4318" } });
    expect(config.otlpEndpoint).toBe("http://collector:4318");
    expect(warnings).toEqual([
      "OTEL_EXPORTER_OTLP_ENDPOINT is not available in this version yet. Allowed: not set.",
    ]);
  });
});

const SECRET = "s".repeat(32);

describe("an unknown name is refused with the nearest known one:", () => {
  const unknown: [given: Given, message: string][] = [
    [{ flags: { "data-dri": "x" } }, "--data-dri is not a setting. Did you mean --data-dir?"],
    [{ flags: { dataDir: "x" } }, "--dataDir is not a setting. Did you mean --data-dir?"],
    [{ env: { HOLDLINE_PROT: "1" } }, "HOLDLINE_PROT is not a setting. Did you mean HOLDLINE_PORT?"],
    [
      { env: { HOLDLINE_OTLP_ENDPOINT: "http://c" } },
      "HOLDLINE_OTLP_ENDPOINT is not a setting. Did you mean OTEL_EXPORTER_OTLP_ENDPOINT?",
    ],
    [{ env: { HOLDLINE_: "1" } }, "HOLDLINE_ is not a setting. Did you mean HOLDLINE_LOG?"],
    [
      { file: "\nport=1\ndatadir = 'x'" },
      "datadir (holdline.toml line 3) is not a setting. Did you mean data_dir?",
    ],
    [{ file: "'dataDir' = 'x'" }, "dataDir (holdline.toml line 1) is not a setting. Did you mean data_dir?"],
    [
      { file: "HOLDLINE_PORT = 1" },
      "HOLDLINE_PORT (holdline.toml line 1) is not a setting. Did you mean port?",
    ],
    [
      { env: { HOLDLINE_SERVICE_HOST: "10.0.0.1" } },
      "HOLDLINE_SERVICE_HOST comes from a Kubernetes service named holdline: set enableServiceLinks: false in its pod.",
    ],
  ];
  test.each(unknown)("%j", (given, message) => {
    expect(refused(given)).toEqual([message]);
  });

  test("but variables of the example workers are nobody's slip", async () => {
    const env: Record<string, string> = {};
    for (const file of ["worker.py", "worker.ts"]) {
      const text = await Bun.file(resolve(import.meta.dir, "../examples", file)).text();
      for (const [name] of text.matchAll(/\bHOLDLINE_[A-Z_]+\b/g)) env[name] = "";
    }
    delete env["HOLDLINE_WORKER_TYPES"];
    expect(Object.keys(env).toSorted()).toEqual([
      "HOLDLINE_URL",
      "HOLDLINE_WORKER_JOBS",
      "HOLDLINE_WORKER_NAME",
      "HOLDLINE_WORKER_TOKEN",
    ]);
    expect(load({ env }).config.port).toBe(8787);
  });

  test("names that mean something to JavaScript are unknown too", () => {
    expect(refused({ flags: { constructor: "x" } })[0]).toStartWith("--constructor is not a setting.");
    expect(refused({ file: "__proto__ = 1" })[0]).toStartWith("__proto__ (holdline.toml line 1) is not a");
  });

  test("one slip of the finger is always found", () => {
    const known = describeConfig().map(({ variable }) => variable);
    for (const variable of known) {
      for (let at = 0; at < variable.length; at += 1) {
        const slip = variable.slice(0, at) + variable.slice(at + 1);
        expect(editDistance({ from: slip, to: nearestOf(slip, known) ?? "" })).toBeLessThanOrEqual(1);
      }
    }
  });

  test("distance is counted in insertions, deletions and substitutions", () => {
    const distances = [
      ["kitten", "sitting"],
      ["", "abc"],
      ["abc", ""],
      ["abc", "abc"],
      ["ab", "ba"],
    ].map(([from = "", to = ""]) => editDistance({ from, to }));
    expect(distances).toEqual([3, 3, 3, 0, 2]);
    expect(nearestOf("x", [])).toBeNull();
  });
});

test("paths of a file begin in its folder, those of flags and variables in the working folder", () => {
  const file = 'data_dir = "data"\nhandlers_dir = "handlers"\ndatabase_url = "sqlite:jobs.db"\n';
  const loadedFrom = (flags: Record<string, string>, env: Record<string, string> = {}) =>
    loadConfig({ flags, env, cwd: CWD, readFile: (path) => (path === "/etc/h/h.toml" ? file : null) }).config;
  expect(loadedFrom({ config: "/etc/h/h.toml" })).toMatchObject({
    dataDir: "/etc/h/data",
    handlersDir: "/etc/h/handlers",
    databaseUrl: "sqlite:/etc/h/jobs.db",
  });
  const mixed = loadedFrom({ config: "/etc/h/h.toml", "data-dir": "d" }, { HOLDLINE_HANDLERS_DIR: "e" });
  expect(mixed).toMatchObject({ dataDir: `${CWD}/d`, handlersDir: `${CWD}/e` });
  expect(loadedFrom({})).toMatchObject({ dataDir: `${CWD}/data`, handlersDir: null });
});

test("every entry of a list that is wrong is told", () => {
  expect(refused({ env: { HOLDLINE_ALLOWED_ORIGINS: "x,https://good.example,y" } })).toEqual([
    expect.stringContaining('HOLDLINE_ALLOWED_ORIGINS "x" ') as string,
    expect.stringContaining('HOLDLINE_ALLOWED_ORIGINS "y" ') as string,
  ]);
});

describe("a file that cannot be read", () => {
  const broken: [text: string, message: string][] = [
    [
      "port = 1\nhost = \n",
      "line 2 is not valid TOML: Missing value after '='; values must be on the same line.",
    ],
    ["port = 1\nport = 2", "line 2 is not valid TOML: Cannot redefine key 'port'."],
    ['a = """\nx\n"""\nb = [\n 1,\n\n}', "line 4 is not valid TOML: "],
    ["chat_key = canary", "line 1 is not valid TOML: Strings must be quoted: (a value not shown here)."],
  ];
  test.each(broken)("because of %j names the line", (file, message) => {
    const [line = "", ...more] = refused({ file });
    expect(line).toStartWith(`holdline.toml ${message}`);
    expect(line).not.toContain("canary");
    expect(more).toEqual([]);
  });

  test("hides nothing that is wrong elsewhere", () => {
    expect(refused({ file: "=", env: { HOLDLINE_PORT: "x" } })).toHaveLength(2);
  });

  test("is refused when it was asked for and is missing", () => {
    expect(refused({ flags: { config: "no.toml" } })).toEqual([
      "--config names /somewhere/no.toml, which is not there.",
    ]);
  });

  test("is refused when it is there and not readable", () => {
    const readFile = (): never => {
      throw new Error("EACCES: permission denied");
    };
    expect(() => loadConfig({ flags: {}, env: {}, cwd: CWD, readFile })).toThrow(
      "holdline.toml cannot be read (EACCES: permission denied).",
    );
  });
});

test("everything that is wrong is told at once, with its place", () => {
  const given = {
    file: "port = -1\nnonsense = 1",
    env: { HOLDLINE_HOST: "0.0.0.0", HOLDLINE_REDIS_URL: "redis://", HOLDLINE_NONSENSE: "1" },
    flags: { log: "loud" },
  };
  expect(refused(given).map((line) => line.split(" is ")[0])).toEqual([
    "nonsense (holdline.toml line 2)",
    "HOLDLINE_NONSENSE",
    "port (holdline.toml line 1)",
    'HOLDLINE_REDIS_URL "redis://" names no host, or one that',
    "--log",
    `HOLDLINE_HOST "0.0.0.0" can be reached from other machines, and no key of user tokens`,
  ]);
});

describe("secrets", () => {
  const CANARY = "canary-7f3a";
  const leaky: Given[] = [
    { env: { HOLDLINE_AUTH_SECRET: CANARY } },
    { env: { HOLDLINE_AUTH_SECRET: `${CANARY}${SECRET}`, HOLDLINE_AUTH: "open" } },
    { env: { HOLDLINE_CHAT_KEY: CANARY } },
    { flags: { "speech-key": CANARY } },
    { file: `chat_key = ["${CANARY}"]` },
    { file: `chat_key = ${CANARY}` },
    { file: `chat_key = "${CANARY}\nport = 1` },
    { file: `[chat_key]\nx = "${CANARY}"` },
    { env: { HOLDLINE_DATABASE_URL: `mysql://user:${CANARY}@db/x` } },
    { env: { HOLDLINE_REDIS_URL: `https://:${CANARY}@cache` } },
    { env: { HOLDLINE_CHAT_URL: `https://${CANARY}:x@upstream/v1` } },
    { env: { HOLDLINE_CHAT_URL: `ftp://upstream/v1?key=${CANARY}` } },
    { env: { HOLDLINE_AUTH_PUBLIC_KEY: `-----BEGIN PRIVATE KEY-----${CANARY}` } },
    { env: { HOLDLINE_CHAT_KYE: CANARY } },
  ];
  test.each(leaky)("are in no refusal: %j", (given) => {
    try {
      load(given);
      throw new Error("it was taken");
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      expect(error.message.length).toBeGreaterThan(20);
      expect(`${error.message} ${JSON.stringify(error.problems)}`).not.toContain(CANARY);
    }
  });

  test("are marked, and so are passwords inside URLs", () => {
    const marked = describeConfig().filter(({ secret }) => secret);
    expect(marked.map(({ key }) => key)).toEqual(["authSecret", "chatKey", "speechKey", "webhookSecrets"]);
    expect(displayed({ secret: true }, CANARY)).toBe("***");
    expect(displayed({ secret: true }, null)).toBeNull();
    expect(displayed({ secret: false }, [`redis://u:${CANARY}@h/0`, "plain@text", 5])).toEqual([
      "redis://***@h/0",
      "plain@text",
      5,
    ]);
  });
});

describe("every setting", () => {
  const rows = describeConfig();

  test("is documented, and has a spelling of its own in each place", () => {
    expect(rows.length).toBe(Object.keys(load({}).sources).length);
    for (const row of rows) {
      expect(row.description).toMatch(/^[A-Z`].*\.$/);
      expect(row.allowed.length).toBeGreaterThan(2);
      expect(row.key.endsWith("Ms")).toBe(row.unit === "ms");
      expect(row.key.endsWith("Bytes")).toBe(row.unit === "bytes");
    }
    for (const spelling of ["variable", "flag", "fileKey"] as const) {
      expect(new Set(rows.map((row) => row[spelling])).size).toBe(rows.length);
    }
  });

  test("is spelled as its key says", () => {
    const row = rows.find(({ key }) => key === "authJwksUrl");
    expect(row).toMatchObject({
      variable: "HOLDLINE_AUTH_JWKS_URL",
      flag: "--auth-jwks-url",
      fileKey: "auth_jwks_url",
    });
    const borrowed = rows.filter(({ variable }) => !variable.startsWith("HOLDLINE_"));
    expect(borrowed.map(({ variable }) => variable)).toEqual(["OTEL_EXPORTER_OTLP_ENDPOINT"]);
  });

  test("of a number refuses what lies one beyond each end, and takes the ends", () => {
    const ranges = rows.filter(({ kind }) => kind === "integer");
    expect(ranges.length).toBeGreaterThan(20);
    for (const { key, variable, allowed } of ranges) {
      const [least = "", most = ""] = allowed.match(/\d+/g) ?? [];
      for (const end of [least, most]) {
        // More than one process need Redis.
        const env = { [variable]: end, HOLDLINE_REDIS_URL: "redis://127.0.0.1" };
        expect(load({ env }).config[key]).toBe(Number(end));
      }
      for (const beyond of [Number(least) - 1, Number(most) + 1]) {
        expect(refused({ env: { [variable]: String(beyond) } })).toEqual([
          `${variable} is ${beyond}. Allowed: ${allowed}.`,
        ]);
      }
    }
  });
});
