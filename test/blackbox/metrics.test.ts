/** Figures that are about what is stored are right from the first scrape of a new process on. */
import { expect, test } from "bun:test";
import { call, lastingBody, newSession, tokensBody } from "../support/http.ts";
import { startServer } from "../support/server.ts";
import { valueOf } from "../telemetry/scrape.ts";

test("jobs that wait and sessions are known after a restart, before anything happened", async () => {
  await using server = await startServer({ env: { HOLDLINE_CONCURRENCY: "1" } });
  const api = await newSession(server);
  await newSession(server);
  const { id } = await api.submit(lastingBody());
  await api.inStatus(id, "running");
  for (let n = 0; n < 3; n += 1) await api.submit(tokensBody());
  await server.restart();
  const text = (await call("GET", `${server.url}/metrics`)).text;
  // Of the four one runs, or is about to.
  expect(valueOf(text, "holdline_jobs_waiting") + valueOf(text, "holdline_runs")).toBe(4);
  expect(valueOf(text, 'holdline_sessions{state="away"}')).toBe(2);
  expect(valueOf(text, 'holdline_sessions{state="online"}')).toBe(0);
});
