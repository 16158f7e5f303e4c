/** Cancel, retry and delete (PROTOCOL section 3). */
import { describe, expect, test } from "bun:test";
import { connect } from "../support/client.ts";
import { apiOf, expectProblem, lastingBody, newSession, tokensBody } from "../support/http.ts";
import { expectWhole, outline } from "../support/log-checker.ts";
import { sharedServer, startServer } from "../support/server.ts";
import type { JobBody } from "../support/wire.ts";

const server = sharedServer();

describe("cancel", () => {
  test("of a running job is 202 canceling or 200 canceled, and ends it for the reason requested", async () => {
    const api = await newSession(server());
    const { id } = await api.submit(lastingBody());
    await api.inStatus(id, "running");
    const answer = await api.cancel(id);
    expect(["202 canceling", "200 canceled"]).toContain(`${answer.status} ${answer.body.status}`);
    expect(await api.finished(id)).toMatchObject({ status: "canceled", terminal: true, attempt: 1 });
    const log = await api.log(id);
    expectWhole(log);
    expect(log.slice(-2).map(({ kind, data }) => [kind, data.reason])).toEqual([
      ["job.canceling", "requested"],
      ["job.canceled", "requested"],
    ]);
  });

  test("of a queued job is 200 at once; it never starts", async () => {
    await using narrow = await startServer({ env: { HOLDLINE_CONCURRENCY: "1" } });
    const api = await newSession(narrow);
    const blocker = await api.submit(lastingBody());
    await api.inStatus(blocker.id, "running");
    const { id } = await api.submit(lastingBody());
    const answer = await api.cancel(id);
    expect(answer).toMatchObject({ status: 200, body: { status: "canceled", attempt: 0, terminal: true } });
    const log = await api.log(id);
    expectWhole(log);
    expect(outline(log)).toEqual(["job.queued", "job.canceled"]);
  });

  test("of a job that waits for its next attempt ends it there", async () => {
    const api = await newSession(server());
    const { id } = await api.submit(tokensBody({ failAt: 1, failTimes: 24 }, { maxAttempts: 25 }));
    await api.inStatus(id, "retrying");
    await api.cancel(id);
    expect(await api.finished(id)).toMatchObject({ status: "canceled" });
    expectWhole(await api.log(id));
  });

  test("of a terminal job is 200 and changes nothing; it may be repeated", async () => {
    const api = await newSession(server());
    const { id } = await api.submit(tokensBody());
    const ended = await api.finished(id);
    for (let n = 0; n < 2; n += 1) {
      const answer = await api.cancel(id);
      expect(answer.status).toBe(200);
      expect<JobBody>(answer.body).toEqual(ended);
    }
    const other = await api.submit(lastingBody());
    await api.cancel(other.id);
    const canceled = await api.finished(other.id);
    const again = await api.cancel(other.id);
    expect(again.status).toBe(200);
    expect<JobBody>(again.body).toEqual(canceled);
    expectWhole(await api.log(other.id));
  });

  test("twenty times at once ends it once", async () => {
    const api = await newSession(server());
    const { id } = await api.submit(lastingBody());
    await api.inStatus(id, "running");
    const answers = await Promise.all(Array.from({ length: 20 }, () => api.cancel(id)));
    for (const { status } of answers) expect([200, 202]).toContain(status);
    await api.finished(id);
    const log = await api.log(id);
    expectWhole(log);
    expect(log.filter(({ kind }) => kind === "job.canceling").length).toBeLessThanOrEqual(1);
  });
});

describe("retry", () => {
  test("of a terminal job is 202 and a new job with the same type, input and options", async () => {
    const api = await newSession(server());
    const metadata = { colour: "blue" };
    const first = await api.submit(
      tokensBody({ tokens: 2, failAt: 1, failTimes: 9 }, { metadata, maxAttempts: 1 }),
    );
    expect(await api.finished(first.id)).toMatchObject({ status: "failed" });
    const answer = await api.call<JobBody>("POST", `/v1/jobs/${first.id}/retry`);
    expect(answer.status).toBe(202);
    expect(answer.headers.get("location")).toBe(`/v1/jobs/${answer.body.id}`);
    expect(answer.body).toMatchObject({ type: "tokens", retryOf: first.id, metadata });
    expect(answer.body.id).not.toBe(first.id);
    // The same input and maxAttempts: it fails the same way, after one run.
    expect(await api.finished(answer.body.id)).toMatchObject({ status: "failed", attempt: 1 });
    expect((await api.job(first.id)).retryOf).toBeUndefined();
  });

  test.each(["succeeded", "canceled"])("works for a %s job", async (status) => {
    const api = await newSession(server());
    const { id } = await api.submit(status === "canceled" ? lastingBody() : tokensBody());
    if (status === "canceled") await api.cancel(id);
    expect(await api.finished(id)).toMatchObject({ status });
    const answer = await api.call<JobBody>("POST", `/v1/jobs/${id}/retry`);
    expect(answer).toMatchObject({ status: 202, body: { retryOf: id } });
    await api.cancel(answer.body.id);
  });

  test("of an unfinished job is 409 job_not_terminal", async () => {
    const api = await newSession(server());
    const { id } = await api.submit(lastingBody());
    expectProblem(await api.call("POST", `/v1/jobs/${id}/retry`), 409, "job_not_terminal");
    await api.cancel(id);
  });
});

describe("delete", () => {
  test("of an unfinished job is 409 job_not_terminal and leaves it", async () => {
    const api = await newSession(server());
    const { id } = await api.submit(lastingBody());
    expectProblem(await api.call("DELETE", `/v1/jobs/${id}`), 409, "job_not_terminal");
    expect((await api.job(id)).terminal).toBe(false);
    await api.cancel(id);
  });

  test("of a terminal one is 204; from then on every question about it is 410 job_purged", async () => {
    await using client = await connect(server());
    const api = apiOf(server(), client.token);
    const { id } = await api.submit(tokensBody({ audioBytes: 10 }));
    await api.finished(id);
    const answer = await api.call("DELETE", `/v1/jobs/${id}`);
    expect({ status: answer.status, text: answer.text }).toEqual({ status: 204, text: "" });
    const questions = [
      "GET ",
      "GET /events",
      "GET /output",
      "GET /audio",
      "POST /cancel",
      "POST /retry",
      "DELETE ",
    ];
    for (const [method = "", path = ""] of questions.map((text) => text.split(" "))) {
      expectProblem(await api.call(method, `/v1/jobs/${id}${path}`), 410, "job_purged");
    }
    expect(await client.attach(id)).toMatchObject({ type: "error", code: "job_purged" });
    const list = await api.call<{ items: JobBody[] }>("GET", "/v1/jobs");
    expect(list.body.items).toEqual([]);
  });
});
