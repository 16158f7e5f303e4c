/** R36: cursors that no log has. Every way of asking gets an explicit answer, never a 500, and nothing is clamped. */
import { describe, expect, test } from "bun:test";
import { connect } from "../support/client.ts";
import { apiOf, expectProblem, newSession, tokensBody } from "../support/http.ts";
import { expectShape } from "../support/shape.ts";
import { sharedServer, startServer } from "../support/server.ts";
import { until } from "../support/wait.ts";

const server = sharedServer();

const FORMS = ["application/json", "text/event-stream", "application/x-ndjson"] as const;
/** Not a seq at all. */
const NONSENSE = [
  "-1",
  "-0",
  "1.5",
  "1e3",
  "0x10",
  "٣",
  "NaN",
  "Infinity",
  "null",
  "true",
  "five",
  " 5",
  "5 ",
  "+5",
  "5,6",
  "9223372036854775807",
  "9223372036854775808",
  "18446744073709551616",
  "99999999999999999999999999999999",
];
/** A seq, and more than any log of this test has. */
const AHEAD = ["1000", "4194303", "4194304", "4294967296", "9007199254740991"];

describe("faults/R36 cursors that no log has", () => {
  test("faults/R36 over HTTP, in all three forms, by after and by Last-Event-ID: 400 for nonsense, 410 ahead for too much", async () => {
    const api = await newSession(server());
    const { id } = await api.submit(tokensBody());
    const { head } = await api.finished(id);
    const path = `/v1/jobs/${id}/events`;
    for (const accept of FORMS) {
      for (const after of NONSENSE) {
        const answer = await api.call("GET", `${path}?after=${encodeURIComponent(after)}`, {
          headers: { accept },
        });
        expectProblem(answer, 400, "invalid_request");
        expect(answer.body.errors?.[0]?.pointer).toBe("/after");
      }
      for (const after of [...AHEAD, String(head + 1)]) {
        const answer = await api.call("GET", `${path}?after=${after}`, { headers: { accept } });
        expectProblem(answer, 410, "cursor_expired");
        expectShape(answer.body, { reason: "ahead", oldest: 1, head, outputUrl: `/v1/jobs/${id}/output` });
      }
    }
    for (const last of NONSENSE.filter((text) => /^[\x21-\x7e]+$/.test(text))) {
      const headers = { accept: "text/event-stream", "last-event-id": last };
      expectProblem(await api.call("GET", path, { headers }), 400, "invalid_request");
    }
    for (const last of AHEAD) {
      const headers = { accept: "text/event-stream", "last-event-id": last };
      expectProblem(await api.call("GET", `${path}?after=0`, { headers }), 410, "cursor_expired");
    }
  });

  test("faults/R36 over a socket: error for nonsense, attached with recovered false for too much, and the socket lives on", async () => {
    await using owner = await connect(server());
    const api = apiOf(server(), owner.token);
    const { id } = await api.submit(tokensBody());
    const { head } = await api.finished(id);
    const nonsense = ["-1", "1.5", '"5"', "null", "true", "9223372036854775808", "1e300", "[]", "{}"];
    for (const after of nonsense) {
      // Ten malformed frames a minute would end a connection.
      await using client = await connect(server(), { token: (await newSession(server())).token });
      client.sendRaw(`{"type":"attach","job":"${id}","after":${after},"id":"a"}`);
      const answer = await client.waitFor("the answer", ({ re }) => re === "a");
      expectShape(answer, { type: "error", code: "invalid_request", retryable: false });
      await client.settle();
    }
    for (const after of [...AHEAD.map(Number), head + 1]) {
      const answer = await owner.attach(id, after);
      expectShape(answer, { type: "attached", after, head, recovered: false, reason: "ahead" });
      expect(answer.output).toMatchObject({ seq: head - 1, attempt: 1 });
      // From there on it hears how the job ended.
      await owner.waitForEvent(id, "the end", ({ terminal }) => terminal);
    }
    expect(owner.closed).toBeNull();
  });

  test("faults/R36 a log that retention took: trimmed everywhere, with the output so far", async () => {
    await using brief = await startServer({ env: { HOLDLINE_EVENTS_RETENTION_MS: "300" } });
    await using client = await connect(brief);
    const api = apiOf(brief, client.token);
    const { id } = await api.submit(tokensBody());
    const { head } = await api.finished(id);
    const path = `/v1/jobs/${id}/events`;
    await until(
      "the log to be trimmed",
      async () => (await api.call("GET", `${path}?after=0`)).status === 410,
      20_000,
    );
    for (const accept of FORMS) {
      const answer = await api.call("GET", `${path}?after=0`, { headers: { accept } });
      expectProblem(answer, 410, "cursor_expired");
      expectShape(answer.body, { reason: "trimmed", head });
      expect(answer.body.oldest).toBeGreaterThan(1);
    }
    const answer = await client.attach(id, 0);
    expectShape(answer, { type: "attached", recovered: false, reason: "trimmed", head });
    expect(answer.output?.seq).toBe(head - 1);
  });
});
