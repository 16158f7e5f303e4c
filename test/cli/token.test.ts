/** `holdline token` beside a server and without one: secrets shown once, scopes, lists, and what it refuses. */
import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { apiOf } from "../support/http.ts";
import { issueToken, operate, operateJson } from "../support/operator.ts";
import { sharedServer, startServer } from "../support/server.ts";
import { readToken } from "../support/tokens.ts";
import { holdline, temporaryFolder } from "./holdline.ts";

const SECRET = "a secret of the operator that is long enough";
const server = sharedServer();

interface Listed {
  items: {
    id: string;
    name: string;
    state: string;
    scope: object;
    expiresAt?: string;
    lastUsedAt?: string;
  }[];
}

const list = async () => (await operateJson<Listed>(server(), ["token", "list"])).items;

describe("token", () => {
  test("makes a secret, alone on stdout, with what to know of it on stderr", async () => {
    const { code, out, err } = await operate(server(), ["token", "admin", "--ttl", "30d"]);
    expect(code).toBe(0);
    expect(out).toMatch(/^hla_[\w-]{49}\n$/);
    expect(err).toMatch(
      /^A token for admin, until \d{4}-.*\. It is not shown again\. .* revoke [0-9a-f-]{36}\n$/,
    );
    expect((await apiOf(server(), out.trim()).call("GET", "/v1/admin/nodes")).status).toBe(200);
  });

  test("in JSON has token, id and scope, and nothing beside it", async () => {
    const kinds: [flags: string[], prefix: string, scope: object][] = [
      [["worker"], "hlw_", { kind: "worker", types: ["*"] }],
      [["worker", "--types", "chat, render-*"], "hlw_", { kind: "worker", types: ["chat", "render-*"] }],
      [["admin"], "hla_", { kind: "admin" }],
      [["publish"], "hlp_", { kind: "publish", rooms: ["*"] }],
      [
        ["publish", "--rooms", "the lobby,game/*"],
        "hlp_",
        { kind: "publish", rooms: ["the lobby", "game/*"] },
      ],
    ];
    for (const [flags, prefix, scope] of kinds) {
      const { code, out, err } = await operate(server(), ["token", ...flags, "--json"]);
      expect({ code, err }).toEqual({ code: 0, err: "" });
      const made = JSON.parse(out) as Record<string, string>;
      expect(Object.keys(made)).toEqual(["token", "id", "scope"]);
      expect(made["token"]).toStartWith(prefix);
      expect(made["scope"] as unknown).toEqual(scope);
    }
  });

  test("list shows what there is and what became of it, without the secret", async () => {
    const made = await issueToken(
      server(),
      "worker",
      "--name",
      "render farm",
      "--types",
      "a,b*",
      "--ttl",
      "1h",
    );
    expect((await list())[0]).toMatchObject({
      id: made.id,
      name: "render farm",
      state: "active",
      scope: made.scope,
      expiresAt: expect.stringMatching(/Z$/),
    });
    const revoked = await operate(server(), ["token", "revoke", made.id]);
    expect(revoked).toEqual({ code: 0, out: "Revoked: it is refused within a second.\n", err: "" });
    expect((await list())[0]).toMatchObject({ id: made.id, state: "revoked" });
    const { out } = await operate(server(), ["token", "list"]);
    const [headings = "", first = ""] = out.split("\n");
    expect(headings).toMatch(/^ID +KIND +NAME +STATE +CREATED +EXPIRES +LAST USED +ONLY$/);
    expect(first).toMatch(new RegExp(`^${made.id} +worker +render farm +revoked .* a,b\\*$`));
  });

  test("user signs what the server takes, with its issuer and audience, narrowed as asked", async () => {
    const env = { HOLDLINE_AUTH_SECRET: SECRET, HOLDLINE_AUTH_ISSUER: "me", HOLDLINE_AUTH_AUDIENCE: "app" };
    await using own = await startServer({ env });
    const flags = ["--sub", "ada", "--types", "chat,x-*", "--rooms", "lobby", "--ttl", "15m"];
    const { out, code } = await operate(own, ["token", "user", ...flags, "--json"], env);
    expect(code).toBe(0);
    const { token, id, scope } = JSON.parse(out) as { token: string; id: string; scope: object };
    expect(scope).toEqual({ kind: "user", sub: "ada", types: ["chat", "x-*"], rooms: ["lobby"] });
    const { claims } = readToken(token);
    const holdlineClaim = { types: ["chat", "x-*"], rooms: ["lobby"] };
    expect(claims).toMatchObject({ sub: "ada", jti: id, iss: "me", aud: "app", holdline: holdlineClaim });
    expect(Number(claims["exp"]) - Number(claims["iat"])).toBe(900);
    const api = apiOf(own, token);
    expect((await api.call("GET", "/v1/jobs")).status).toBe(200);
    const refused = await api.post({ type: "speech", input: { text: "hello" } });
    expect(refused).toMatchObject({ status: 403, body: { code: "forbidden" } });
    await operate(own, ["sessions", "revoke", "--token-id", id], env);
    expect(await api.call("GET", "/v1/jobs")).toMatchObject({ status: 401, body: { code: "token_revoked" } });
  });

  test("user without options has a life of an hour and no limits; needs no server and no database", async () => {
    const env = { HOLDLINE_AUTH_SECRET: SECRET };
    const { out, err, code } = await holdline(["token", "user", "--sub", "ada"], { env });
    expect(code).toBe(0);
    expect(err).toStartWith("A token of the user, until ");
    const { claims } = readToken(out.trim());
    expect(Number(claims["exp"]) - Number(claims["iat"])).toBe(3600);
    expect(Object.keys(claims).toSorted()).toEqual(["exp", "iat", "jti", "sub"]);
  });
});

describe("token refuses", () => {
  const mistakes: [argv: string[], message: string][] = [
    [[], "token needs one of worker, admin, publish, user, list, revoke: holdline token worker"],
    [["wroker"], "token needs one of worker, admin, publish, user, list, revoke"],
    [["worker", "now"], "token worker takes options only: holdline token worker"],
    [["revoke"], "token revoke takes one ID: holdline token revoke ID"],
    [["revoke", "a", "b"], "token revoke takes one ID: holdline token revoke ID"],
    [["admin", "--types", "a"], "--types means nothing to token admin."],
    [["worker", "--rooms", "a"], "--rooms means nothing to token worker."],
    [["worker", "--sub", "a"], "--sub means nothing to token worker."],
    [["list", "--name", "a"], "--name means nothing to token list."],
    [["worker", "--types", "a,,b"], "--types needs names separated by commas"],
    [["worker", "--types", "a*b"], "--types needs names separated by commas"],
    [["worker", "--types", "**"], "--types needs names separated by commas"],
    [["worker", "--ttl", "30"], "--ttl needs a number and a unit"],
    [["worker", "--ttl", "0d"], "--ttl needs a number and a unit"],
    [["worker", "--ttl", "1y"], "--ttl needs a number and a unit"],
    [["worker", "--name", ""], "--name needs 1 to 64 printable characters."],
    [["worker", "--name", "a\u001b[2Jb"], "--name needs 1 to 64 printable characters."],
    [["user", "--sub", "ada"], "token user signs with HOLDLINE_AUTH_SECRET, which is not set."],
  ];
  test.each(mistakes)("%j with exit code 2 and a sentence", async (argv, message) => {
    const { code, out, err } = await operate(server(), ["token", ...argv]);
    expect({ code, out }).toEqual({ code: 2, out: "" });
    expect(err).toStartWith(`holdline: ${message}`);
  });

  test("user tokens without a user, or longer than a server takes them", async () => {
    const env = { HOLDLINE_AUTH_SECRET: SECRET };
    for (const flags of [[], ["--sub", ""], ["--sub", "a".repeat(256)], ["--sub", "a", "--ttl", "367d"]]) {
      const { code, out } = await operate(server(), ["token", "user", ...flags], env);
      expect({ code, out }).toEqual({ code: 2, out: "" });
    }
  });

  test("to revoke what is not there, with exit code 1", async () => {
    const { code, err } = await operate(server(), ["token", "revoke", Bun.randomUUIDv7()]);
    expect({ code, err }).toEqual({
      code: 1,
      err: "holdline: there is no token of this id: holdline token list\n",
    });
  });

  test("a database that is not there, is in memory, or has another schema; it makes nothing", async () => {
    await using folder = await temporaryFolder();
    const dataDir = join(folder.path, "data");
    const missing = await holdline(["token", "admin", "--data-dir", dataDir]);
    expect(missing).toMatchObject({ code: 1, out: "" });
    expect(missing.err).toContain(`there is no database at ${join(dataDir, "holdline.db")} yet`);
    expect(await Bun.file(join(dataDir, "holdline.db")).exists()).toBe(false);
    const memory = await holdline(["token", "admin", "--database-url", "sqlite::memory:"]);
    expect(memory).toMatchObject({ code: 1, out: "" });
    expect(memory.err).toContain("in the memory of the server");

    await holdline(["migrate", "--data-dir", dataDir]);
    const db = new Database(join(dataDir, "holdline.db"));
    db.run("INSERT INTO schema_migrations (number, name, applied_at) VALUES (9999, 'later', '')");
    const newer = await holdline(["token", "admin", "--data-dir", dataDir]);
    expect(newer).toMatchObject({ code: 1, out: "" });
    expect(newer.err).toContain("the database has schema 9999");
    db.run("DELETE FROM schema_migrations");
    const older = await holdline(["token", "admin", "--data-dir", dataDir]);
    expect(older).toMatchObject({ code: 1, out: "" });
    expect(older.err).toContain("the database has schema 0");
    expect(older.err).toContain("run holdline migrate");
    expect(db.query("SELECT count(*) AS count FROM machine_tokens").get()).toEqual({ count: 0 });
    db.close();
  });
});

test("a token made before the first start is there at it", async () => {
  await using folder = await temporaryFolder();
  const dataDir = join(folder.path, "data");
  await holdline(["migrate", "--data-dir", dataDir]);
  const { out } = await holdline(["token", "worker", "--json", "--data-dir", dataDir]);
  const { id } = JSON.parse(out) as { id: string };
  const listed = await holdline(["token", "list", "--json", "--data-dir", dataDir]);
  expect((JSON.parse(listed.out) as Listed).items.map((one) => one.id)).toEqual([id]);
});
