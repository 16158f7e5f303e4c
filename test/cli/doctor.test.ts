/** `holdline doctor`: what it says of a good machine, and of each thing that is wrong with one. */
import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import type { Finding } from "../../src/cli/doctor/finding.ts";
import { judgeDescriptors } from "../../src/cli/doctor/machine.ts";
import { operate } from "../support/operator.ts";
import { startServer } from "../support/server.ts";
import { holdline, temporaryFolder } from "./holdline.ts";

interface Said {
  readonly code: number;
  readonly out: string;
  readonly findings: readonly Finding[];
}

async function doctor(argv: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Said> {
  const { code, out, err } = await holdline(["doctor", "--json", ...argv], { env });
  expect(err).toBe("");
  return { code, out, findings: (JSON.parse(out) as { findings: Finding[] }).findings };
}

const of = ({ findings }: Said, name: string): Finding | undefined =>
  findings.find((one) => one.name === name);

/** Holds a port that is no server's of ours. */
async function strangersPort(): Promise<{ port: number; close: () => void }> {
  const server = createServer((socket) => socket.end("220 mail.example.com ESMTP\r\n"));
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  return { port: (server.address() as { port: number }).port, close: () => server.close() };
}

test("a machine without faults is told so, and nothing is left on it", async () => {
  await using folder = await temporaryFolder();
  const { code, out, err } = await holdline(["doctor", "--port", "0"], { cwd: folder.path });
  expect({ code, err }).toEqual({ code: 0, err: "" });
  for (const name of [
    "settings",
    "data folder",
    "disk",
    "fsync",
    "SQLite",
    "database",
    "clock",
    "signing keys",
    "descriptors",
    "port",
  ]) {
    expect(out).toMatch(new RegExp(`^(ok|warn) +${name} +\\S`, "m"));
  }
  expect(out).toMatch(/^ok +fsync +p50 \d+\.\d\d ms, p99 \d+\.\d\d ms$|^warn +fsync/m);
  expect(readdirSync(folder.path)).toEqual([]);
});

test("a server of another folder, and a program that answers like one, are not this folder's server", async () => {
  await using server = await startServer();
  await using folder = await temporaryFolder();
  const beside = await holdline(["doctor", "--port", String(server.port)], { cwd: folder.path });
  expect(beside.code).toBe(1);
  expect(beside.out).toContain(
    `fail  port          127.0.0.1:${server.port} is taken by a server of another data folder`,
  );
  using stranger = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response("hello") });
  const other = await holdline(["doctor", "--port", String(stranger.port)], { cwd: folder.path });
  expect(other.code).toBe(1);
  expect(other.out).toContain("is taken by another program");
  expect(readdirSync(folder.path)).toEqual([]);
});

test("a server that runs is seen, and not disturbed", async () => {
  await using server = await startServer();
  const { code, out } = await operate(server, ["doctor"]);
  expect(code).toBe(0);
  expect(out).toContain(`a server is ready on 127.0.0.1:${server.port}`);
  expect(out).toMatch(/^ok +database +\S+holdline\.db: 0 jobs, schema \d+$/m);
  expect(out).toMatch(/^ok +signing keys +1, the newest 0 days old$/m);
  expect(server.exit()).toBeNull();
});

describe("what is wrong is said, with what to do:", () => {
  test("keys that others can read", async () => {
    await using folder = await temporaryFolder();
    const keys = join(folder.path, "keys");
    expect((await holdline(["keys", "rotate", "--data-dir", folder.path])).code).toBe(0);
    const [file = ""] = readdirSync(keys);
    chmodSync(join(keys, file), 0o644);
    const said = await doctor(["--data-dir", folder.path, "--port", "0"]);
    expect(said.code).toBe(1);
    expect(of(said, "signing keys")).toMatchObject({
      level: "fail",
      fix: expect.stringContaining("chmod 600") as string,
    });
    // It only looked: the key is as it was.
    expect(of(await doctor(["--data-dir", folder.path, "--port", "0"]), "signing keys")?.level).toBe("fail");
    writeFileSync(join(keys, file), "{}");
    chmodSync(join(keys, file), 0o600);
    expect(of(await doctor(["--data-dir", folder.path, "--port", "0"]), "signing keys")?.text).toContain(
      "is not a signing key",
    );
  });

  test("a data folder that others can look into, and what a test left there", async () => {
    await using folder = await temporaryFolder();
    chmodSync(folder.path, 0o755);
    const argv = ["--data-dir", folder.path, "--port", "0"];
    expect(of(await doctor(argv), "data folder")).toMatchObject({
      level: "warn",
      fix: expect.stringContaining("chmod 700") as string,
    });
    chmodSync(folder.path, 0o700);
    mkdirSync(join(folder.path, "selftest-abc"));
    expect(of(await doctor(argv), "data folder")).toMatchObject({
      level: "warn",
      text: expect.stringContaining("selftest-abc") as string,
    });
  });

  test("a disk in memory", async () => {
    const said = await doctor(["--data-dir", "/dev/shm/holdline-doctor-test", "--port", "0"]);
    expect(of(said, "disk")).toMatchObject({
      level: "warn",
      text: expect.stringContaining("tmpfs") as string,
    });
  });

  test("a database of a newer version, a damaged one, and one with times to come", async () => {
    await using folder = await temporaryFolder();
    const argv = ["--data-dir", folder.path, "--port", "0"];
    await holdline(["migrate", "--data-dir", folder.path]);
    const path = join(folder.path, "holdline.db");
    const db = new Database(path);
    db.run(
      "INSERT INTO schema_migrations (number, name, applied_at) VALUES (99, 'of_the_future', '2030-01-01')",
    );
    db.close(true);
    const newer = await doctor(argv);
    expect(newer.code).toBe(1);
    expect(of(newer, "database")).toMatchObject({
      level: "fail",
      text: expect.stringContaining("schema 99") as string,
    });
    writeFileSync(path, "no database");
    const damaged = await doctor(argv);
    expect(damaged.code).toBe(1);
    expect(of(damaged, "database")).toMatchObject({
      level: "fail",
      fix: expect.stringContaining("restore") as string,
    });
  });

  test("a clock that is behind what the database has seen", async () => {
    await using server = await startServer();
    const db = new Database(join(server.dataFolder, "holdline.db"));
    const session = await fetch(`${server.url}/v1/sessions`, { method: "POST" });
    const { token } = (await session.json()) as { token: string };
    await fetch(`${server.url}/v1/jobs`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      body: JSON.stringify({ type: "tokens", input: { tokens: 1, size: 1, intervalMs: 0 } }),
    });
    db.run("PRAGMA busy_timeout = 5000");
    db.run("UPDATE jobs SET created_at = created_at + 3600000");
    db.close(true);
    const { code, out } = await operate(server, ["doctor"]);
    expect(code).toBe(0);
    expect(out).toMatch(/^warn +clock +it is \S+, and the newest job is of \S+\n +Set the clock/m);
  });

  test("a port that another program has", async () => {
    const stranger = await strangersPort();
    try {
      const said = await doctor(["--port", String(stranger.port)]);
      expect(said.code).toBe(1);
      expect(of(said, "port")).toMatchObject({
        level: "fail",
        text: expect.stringContaining("another program") as string,
      });
    } finally {
      stranger.close();
    }
    const elsewhere = await doctor(["--host", "192.0.2.1"], { HOLDLINE_AUTH: "open" });
    expect(of(elsewhere, "port")).toMatchObject({
      level: "fail",
      fix: expect.stringContaining("--host") as string,
    });
    expect(of(elsewhere, "settings")).toMatchObject({
      level: "warn",
      text: expect.stringContaining("everybody") as string,
    });
  });

  test("upstreams that are not there, refuse the key, or are in order; and no key is shown", async () => {
    const key = "sk-canary-of-the-doctor";
    const asked: (string | null)[] = [];
    using upstream = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch(request) {
        asked.push(request.headers.get("authorization"));
        return new URL(request.url).pathname === "/v1/models"
          ? Response.json({ data: [] })
          : new Response(null, { status: 401 });
      },
    });
    const good = `http://127.0.0.1:${upstream.port}/v1`;
    const said = await doctor(["--port", "0"], {
      HOLDLINE_CHAT_URL: good,
      HOLDLINE_CHAT_KEY: key,
      HOLDLINE_SPEECH_URL: "http://127.0.0.1:1/v1",
      HOLDLINE_SPEECH_KEY: key,
      HOLDLINE_AUTH_JWKS_URL: `http://127.0.0.1:${upstream.port}/keys`,
    });
    expect(said.code).toBe(1);
    expect(of(said, "chat")).toEqual({
      name: "chat",
      level: "ok",
      text: `${good}/models answers 200`,
      fix: null,
    });
    expect(of(said, "speech")).toMatchObject({
      level: "fail",
      text: expect.stringContaining("no connection") as string,
    });
    expect(of(said, "JWKS")).toMatchObject({
      level: "fail",
      text: expect.stringContaining("answers 401") as string,
    });
    expect(asked).toContain(`Bearer ${key}`);
    expect(said.out).not.toContain(key);
  });

  test.each([
    [null, "ok"],
    [65_536, "ok"],
    [1500, "warn"],
    [1024, "fail"],
    [64, "fail"],
  ] as const)("a limit of %p descriptors with 1000 runs: %s", (limit, level) => {
    expect(judgeDescriptors(limit, { concurrency: 1000 }).level).toBe(level);
  });
});
