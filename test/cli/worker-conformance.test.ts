/** `holdline worker-conformance` against this server, which passes, and against what is none, which does not. */
import { expect, test } from "bun:test";
import { createScriptedServer } from "../../src/cli/conformance/scripted-server.ts";
import { issueToken } from "../support/operator.ts";
import { startServer } from "../support/server.ts";
import { holdline } from "./holdline.ts";

interface Report {
  passed: number;
  failed: number;
  checks: { name: string; passed: boolean; reason: string | null }[];
}

test("this server passes every check", async () => {
  await using server = await startServer({ env: { HOLDLINE_WORKER_TYPES: "render" } });
  const { token } = await issueToken(server, "worker", "--types", "render");
  const argv = ["worker-conformance", "--url", server.url, "--token", token, "--type", "render", "--json"];
  const { code, out, err } = await holdline(argv);
  const report = JSON.parse(out) as Report;
  expect({ err, failed: report.checks.filter(({ passed }) => !passed) }).toEqual({ err: "", failed: [] });
  expect(report.passed).toBeGreaterThan(12);
  expect(code).toBe(0);
});

test("a server that answers everything with nothing fails, check by check", async () => {
  using server = Bun.serve({ port: 0, fetch: () => new Response(null, { status: 204 }) });
  const argv = ["worker-conformance", "--url", server.url.origin, "--token", "t", "--type", "render"];
  const { code, out } = await holdline([...argv, "--user-token", "u"]);
  expect(code).toBe(1);
  expect(out).toContain("pass  a poll without a job is 204\n");
  expect(out).toContain("FAIL  an end may be said again");
  expect(out).toMatch(/1 passed, \d+ failed\n$/);
});

test("a worker learns of a lost lease by the refusal of a write, and is late from then on", async () => {
  const pause = (ms: number): Promise<void> => Bun.sleep(ms);
  const server = createScriptedServer({ type: "t", input: {} }, { nowMs: () => performance.now(), pause });
  server.start();
  const job = server.add();
  const write = async (): Promise<number> => {
    const { status } = await fetch(`${server.url}/v1/worker/jobs/${job.id}/output`, {
      method: "POST",
      headers: {
        authorization: `Bearer ${server.token}`,
        "content-type": "application/x-ndjson",
        "holdline-lease": job.lease,
        "holdline-item": String(job.items.length),
      },
      body: '{"kind":"output.text","data":{"delta":"x"}}\n',
    });
    return status;
  };
  expect([await write(), job.toldMs]).toEqual([200, null]);
  job.state = "lost";
  expect([await write(), job.toldMs === null, job.late]).toEqual([409, false, 0]);
  expect([await write(), job.late]).toEqual([409, 1]);
  await server.kill();
});

test("a worker that does nothing fails; who says too little is told what is missing", async () => {
  const { code, err } = await holdline(["worker-conformance"]);
  expect(code).toBe(2);
  expect(err).toContain("worker-conformance needs --type");
  const both = ["worker-conformance", "--type", "x", "--url", "http://127.0.0.1:1", "--worker", "true"];
  expect((await holdline(both)).code).toBe(2);
});
