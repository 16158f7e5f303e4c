/** What operators are answered is what /openapi.json says. Needs a data folder, since the command line makes their tokens. */
import { beforeAll, expect, test } from "bun:test";
import { lastingBody, newSession, tokensBody, type Api } from "../support/http.ts";
import { issueToken } from "../support/operator.ts";
import { sharedServer } from "../support/server.ts";
import { readContract, type Contract } from "./contract.ts";

const server = sharedServer();
let contract: Contract;
let token = "";
let user: Api & { readonly sessionId: string; readonly userId: string };
beforeAll(async () => {
  contract = await readContract(server());
  ({ token } = await issueToken(server(), "admin"));
  user = await newSession(server());
});

function post(body: unknown): RequestInit & { token: string } {
  return { token, headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
}

test("lists are answered as described", async () => {
  const { id } = await user.submit(tokensBody());
  await user.finished(id);
  const nodes = await contract.call("GET /v1/admin/nodes", "/v1/admin/nodes", { token });
  expect(nodes.body).toMatchObject({ items: [{ connections: 0 }] });
  const schedules = await contract.call("GET /v1/admin/schedules", "/v1/admin/schedules", { token });
  expect(schedules.body).toEqual({ items: [] });
  const sessions = await contract.call("GET /v1/admin/sessions", `/v1/admin/sessions?userId=${user.userId}`, {
    token,
  });
  expect(sessions.body).toMatchObject({ items: [{ id: user.sessionId }], next: null });
  const jobs = await contract.call("GET /v1/admin/jobs", "/v1/admin/jobs?limit=1", { token });
  expect(jobs.body).toMatchObject({ items: [{ id, userId: user.userId, sessionId: user.sessionId }] });
  const refused = await contract.call("GET /v1/admin/jobs", "/v1/admin/jobs?cursor=x", { token });
  expect(refused.body).toMatchObject({ code: "invalid_cursor" });
});

test("jobs of others are answered as described", async () => {
  const { id } = await user.submit(lastingBody());
  await user.inStatus(id, "running");
  const one = `/v1/admin/jobs/${id}`;
  const early = await contract.call("POST /v1/admin/jobs/{id}/retry", `${one}/retry`, { token });
  expect(early.body).toMatchObject({ code: "job_not_terminal" });
  await contract.call("POST /v1/admin/jobs/{id}/cancel", `${one}/cancel`, { token });
  await user.finished(id);
  const read = await contract.call("GET /v1/admin/jobs/{id}", one, { token });
  expect(read.body).toMatchObject({ status: "canceled", userId: user.userId });
  const again = await contract.call("POST /v1/admin/jobs/{id}/retry", `${one}/retry`, { token });
  expect(again.body).toMatchObject({ retryOf: id });
});

test("pushes, revocations and refusals are answered as described", async () => {
  const pushed = await contract.call(
    "POST /v1/admin/push",
    "/v1/admin/push",
    post({ to: { all: true }, data: [1] }),
  );
  expect(pushed.body).toMatchObject({ delivered: 0 });
  const nowhere = await contract.call("POST /v1/admin/push", "/v1/admin/push", post({ to: {}, data: 1 }));
  expect(nowhere.body).toMatchObject({ code: "invalid_request" });
  const asUser = await contract.call("GET /v1/admin/nodes", "/v1/admin/nodes", { token: user.token });
  expect([401, 403]).toContain(asUser.status);
  const other = await newSession(server());
  const gone = { sessionId: other.sessionId };
  const revoked = await contract.call("POST /v1/admin/revocations", "/v1/admin/revocations", post(gone));
  expect(revoked.status).toBe(204);
});
