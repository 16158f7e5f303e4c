/** `holdline sessions`: who is there, and shutting somebody out, beside a running server and without one. */
import { describe, expect, test } from "bun:test";
import { connect, dial } from "../support/client.ts";
import { apiOf, expectProblem, lastingBody, newSession } from "../support/http.ts";
import { operate, operateJson } from "../support/operator.ts";
import { startRedis } from "../support/redis.ts";
import { sharedServer, startServer } from "../support/server.ts";
import { userToken } from "../support/tokens.ts";
import type { JobBody, SessionBody } from "../support/wire.ts";

const SECRET = "a secret of the operator that is long enough";
const WITH_USERS = { HOLDLINE_AUTH_SECRET: SECRET, HOLDLINE_TOKENS: "on" };
const server = sharedServer({ env: WITH_USERS });
const tokenOf = (sub: string, claims: Record<string, unknown> = {}): string =>
  userToken(SECRET, { sub, iat: Math.floor(Date.now() / 1000), ...claims });

interface Page {
  items: SessionBody[];
  next: string | null;
}

describe("sessions", () => {
  test("list shows those of all users, in pages, as text and as JSON", async () => {
    await using own = await startServer({ env: WITH_USERS });
    await using client = await connect(own, { token: tokenOf("ada") });
    const away = await newSession(own, tokenOf("bob"));
    const list = (...flags: string[]) => operateJson<Page>(own, ["sessions", "list", ...flags]);
    expect((await list()).items.map(({ id, userId, presence }) => [id, userId, presence])).toEqual([
      [away.sessionId, "bob", "away"],
      [client.sessionId, "ada", "online"],
    ]);
    const first = await list("--limit", "1");
    const rest = await list("--limit", "1", "--cursor", first.next ?? "");
    expect(rest).toMatchObject({ items: [{ id: client.sessionId }], next: null });
    expect((await list("--user", "bob")).items.map(({ id }) => id)).toEqual([away.sessionId]);
    const { out } = await operate(own, ["sessions", "list"]);
    expect(out).toMatch(/^ID +PRESENCE +LAST SEEN +NODE +USER\n/);
    expect(out).toMatch(new RegExp(`^${client.sessionId} +online +\\S+ +node_\\w+ +ada$`, "m"));
  });

  test("revoke goes through the running server: one session, a user, or one token of a user", async () => {
    const [first, second] = [tokenOf("eve", { jti: "eve-1" }), tokenOf("eve", { jti: "eve-2" })];
    const [one, two, three] = [
      await connect(server(), { token: first }),
      await connect(server(), { token: first }),
      await connect(server(), { token: second }),
    ];
    const revoke = (...argv: string[]) => operateJson(server(), ["sessions", "revoke", ...argv]);
    expect(await revoke(one.sessionId)).toEqual({ revoked: { sessionId: one.sessionId } });
    expect((await one.waitForClose()).code).toBe(4502);
    expect([two.closed, three.closed]).toEqual([null, null]);
    await revoke("--token-id", "eve-1");
    expect((await two.waitForClose()).code).toBe(4502);
    expect(three.closed).toBeNull();
    const hourAgo = new Date(Date.now() - 3_600_000).toISOString();
    expect(await revoke("--user", "eve", "--before", hourAgo)).toEqual({
      revoked: { userId: "eve", before: hourAgo },
    });
    await three.settle();
    await revoke("--user", "eve");
    expect((await three.waitForClose()).code).toBe(4502);
    expectProblem(await apiOf(server(), second).call("GET", "/v1/jobs"), 401, "token_revoked");
  });

  test("revoke works on the database when no server runs: the next one knows, and its jobs are canceled", async () => {
    await using own = await startServer({ env: WITH_USERS });
    const [ada, bob] = [tokenOf("ada"), tokenOf("bob")];
    const [ofAda, ofBob] = [await newSession(own, ada), await newSession(own, bob)];
    const other = await newSession(own, bob);
    const job = await ofBob.submit(lastingBody({ onDisconnect: "cancel", orphanMs: 3_600_000 }));
    await ofBob.inStatus(job.id, "running");
    await own.kill("SIGKILL");
    expect((await operate(own, ["sessions", "revoke", "--user", "ada"])).out).toBe("Revoked.\n");
    expect((await operate(own, ["sessions", "revoke", ofBob.sessionId])).out).toBe("Revoked.\n");
    expect((await operateJson<JobBody>(own, ["jobs", "show", job.id])).status).toBe("canceling");

    await own.restart();
    for (const token of [ofAda.token, ada, ofBob.token]) {
      expectProblem(await apiOf(own, token).call("GET", "/v1/jobs"), 401, "token_revoked");
    }
    expect(await dial(own, { token: ofAda.token }).waitForClose()).toMatchObject({ code: 4502 });
    expect((await other.call("GET", "/v1/jobs")).status).toBe(200);
    expect(await other.finished(job.id)).toMatchObject({ status: "canceled" });
  });

  const mistakes: [argv: string[], message: string][] = [
    [[], "sessions needs one of list, revoke: holdline sessions list"],
    [["revoke"], "sessions revoke needs exactly one of an id, --user and --token-id."],
    [["revoke", "a", "--user", "b"], "sessions revoke needs exactly one of an id, --user and --token-id."],
    [["revoke", "a", "--before", "2026-01-01T00:00:00Z"], "--before goes with --user."],
    [["revoke", "--user", "a", "--before", "then"], "--before needs a time such as 2026-01-31T12:00:00Z."],
    [["revoke", "a", "b"], "sessions revoke takes one [ID]: holdline sessions revoke [ID]"],
    [["list", "--token-id", "a"], "--token-id means nothing to sessions list."],
  ];
  test.each(mistakes)("refuses %j with exit code 2 and a sentence", async (argv, message) => {
    const { code, out, err } = await operate(server(), ["sessions", ...argv]);
    expect({ code, out }).toEqual({ code: 2, out: "" });
    expect(err).toStartWith(`holdline: ${message}`);
  });

  test("revoke says so when there is no such session", async () => {
    const { code, err } = await operate(server(), ["sessions", "revoke", Bun.randomUUIDv7()]);
    expect({ code, err }).toEqual({ code: 1, err: "holdline: No such session.\n" });
  });
});

describe("sessions on Redis", () => {
  test("are listed and revoked beside the running server, and without one", async () => {
    const redis = await startRedis();
    try {
      const env = { ...WITH_USERS, HOLDLINE_SESSIONS_URL: redis.url };
      await using own = await startServer({ env });
      const client = await connect(own, { token: tokenOf("ada") });
      const away = await newSession(own, tokenOf("bob"));
      const args = ["--sessions-url", redis.url];
      const list = async () => {
        const { items } = await operateJson<Page>(own, ["sessions", "list", ...args]);
        return items.map(({ id }) => id);
      };
      expect(await list()).toEqual([away.sessionId, client.sessionId]);
      await operateJson(own, ["sessions", "revoke", client.sessionId, ...args]);
      expect((await client.waitForClose()).code).toBe(4502);
      expect(await list()).toEqual([away.sessionId]);
      await own.kill("SIGKILL");
      await operateJson(own, ["sessions", "revoke", away.sessionId, ...args]);
      expect(await list()).toEqual([]);
      await own.restart();
      expectProblem(await away.call("GET", "/v1/sessions/current"), 401, "token_revoked");
      await redis.halt();
      const { code, err } = await operate(own, ["sessions", "list", ...args]);
      expect({ code, err }).toEqual({
        code: 1,
        err: `holdline: Redis at 127.0.0.1:${redis.port}, which keeps the sessions, cannot be reached: nothing listens there: does it run, and is this its address? (connect ECONNREFUSED 127.0.0.1:${redis.port})\n`,
      });
    } finally {
      await redis.remove();
    }
  });
});
