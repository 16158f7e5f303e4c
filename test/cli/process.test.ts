/** The process around the server: its one line, its exit codes, its signals. */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { lastingBody, newSession } from "../support/http.ts";
import { startServer } from "../support/server.ts";
import { until } from "../support/wait.ts";
import { holdline, temporaryFolder } from "./holdline.ts";

test("one line says where it listens, also when nothing else is logged; SIGTERM ends it with 0", async () => {
  await using server = await startServer({ env: { HOLDLINE_LOG: "silent" } });
  await server.kill("SIGTERM");
  expect(await server.exited()).toEqual({ code: 0, signal: null });
  expect(server.logs()).toEqual([
    { level: "info", time: expect.any(String), url: server.url, msg: "listening" },
  ]);
  expect(server.output().trimEnd().split("\n")).toHaveLength(1);
});

test("SIGINT ends it with 0 as well, and the log says so", async () => {
  await using server = await startServer();
  await server.kill("SIGINT");
  expect(await server.exited()).toEqual({ code: 0, signal: null });
  const messages = server.logs().map(({ msg }) => msg);
  expect(messages.filter((message) => message === "listening")).toHaveLength(1);
  expect(messages.slice(-1)).toEqual(["stopped"]);
});

test("a second signal ends it at once, whatever still runs", async () => {
  await using server = await startServer({ env: { HOLDLINE_DRAIN_MS: "600000" } });
  const api = await newSession(server);
  const { id } = await api.submit(lastingBody());
  await api.inStatus(id, "running");
  await server.kill("SIGTERM");
  await until("the drain to begin", () => server.logs().some(({ msg }) => msg === "stopping"));
  expect(server.exit()).toBeNull();
  await server.kill("SIGTERM");
  expect(await server.exited()).toEqual({ code: 1, signal: null });
});

test("a port that is taken ends it with 1 and a sentence", async () => {
  await using server = await startServer();
  const { code, out, err } = await holdline(["serve", "--port", String(server.port)]);
  expect(code).toBe(1);
  expect(err).toStartWith(`holdline: cannot start: port ${server.port} on 127.0.0.1 is in use: `);
  expect(err).toContain("--port");
  expect(out).not.toContain('"listening"');
});

test("a wrong configuration ends it with 2 before it touches anything", async () => {
  await using folder = await temporaryFolder();
  const data = join(folder.path, "data");
  const { code, out, err } = await holdline(["serve", "--data-dir", data, "--host", "0.0.0.0"]);
  expect({ code, out }).toEqual({ code: 2, out: "" });
  expect(err).toContain("HOLDLINE_AUTH=open");
  expect(await Bun.file(join(data, "holdline.db")).exists()).toBe(false);
});
