/** /metrics of a real server: a scraper can read it, and what was done is what is counted. */
import { expect, test } from "bun:test";
import { ROUTES } from "../../src/http/http.ts";
import { connect } from "../support/client.ts";
import { apiOf } from "../support/http.ts";
import { readExposition, valueOf } from "../telemetry/scrape.ts";
import { sharedApp } from "./real-app.ts";

const app = sharedApp();

async function scrape(): Promise<string> {
  const answer = await fetch(`${app().url}/metrics`);
  expect(answer.status).toBe(200);
  expect(answer.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
  return answer.text();
}

test("counts what happened between two scrapes", async () => {
  const before = await scrape();
  await using client = await connect(app());
  const api = apiOf(app(), client.token);
  const done = await api.submit({ type: "everything", input: {} });
  const failed = await api.submit({ type: "everything", input: { fail: true } });
  for (const { id } of [done, failed]) await client.waitForEnd(id);
  const running = await api.submit({ type: "patient", input: {} });
  await client.waitForEvent(running.id, "its start", ({ kind }) => kind === "job.started");
  await api.call("GET", `/v1/jobs/${running.id}`);
  await api.call("GET", `/v1/jobs/${Bun.randomUUIDv7()}`);
  const after = await scrape();
  const grown = (sample: string): number => valueOf(after, sample) - valueOf(before, sample);

  expect(grown('holdline_jobs_accepted_total{type="everything"}')).toBe(2);
  expect(grown('holdline_jobs_ended_total{type="everything",status="succeeded"}')).toBe(1);
  expect(grown('holdline_jobs_ended_total{type="everything",status="failed"}')).toBe(1);
  expect(valueOf(after, "holdline_runs")).toBe(1);
  expect(valueOf(after, "holdline_jobs_waiting")).toBe(0);
  expect(valueOf(after, "holdline_connections")).toBe(1);
  expect(valueOf(after, 'holdline_sessions{state="online"}')).toBe(1);
  expect(grown("holdline_sessions_opened_total")).toBe(1);
  const entries = (await api.log(done.id)).length + (await api.log(failed.id)).length + 2;
  expect(grown("holdline_events_committed_total")).toBe(entries);
  expect(grown("holdline_event_frames_sent_total")).toBe(entries);
  expect(grown("holdline_frames_sent_total")).toBe(client.received.length);
  const bytes = client.received.reduce(
    (sum, one) => sum + (one.kind === "json" ? one.bytes : one.event.frameBytes),
    0,
  );
  expect(grown("holdline_sent_bytes_total")).toBe(bytes);
  expect(grown("holdline_commits_total")).toBeGreaterThan(5);
  expect(grown("holdline_commit_duration_seconds_count")).toBeGreaterThan(5);
  expect(grown('holdline_http_requests_total{route="/v1/jobs",method="POST",status="202"}')).toBe(3);
  expect(grown('holdline_http_requests_total{route="/v1/jobs/:id",method="GET",status="404"}')).toBe(1);
  expect(grown('holdline_http_requests_total{route="/v1/connect",method="GET",status="101"}')).toBe(1);
  expect(grown('holdline_http_requests_total{route="/metrics",method="GET",status="200"}')).toBe(1);
  expect(grown('holdline_http_request_duration_seconds_count{route="/v1/jobs",method="POST"}')).toBe(3);
  await api.cancel(running.id);
});

test("counts what goes out over a stream", async () => {
  await using client = await connect(app());
  const api = apiOf(app(), client.token);
  const { id } = await api.submit({ type: "everything", input: {} });
  await client.waitForEnd(id);
  const before = await scrape();
  const stream = await api.call("GET", `/v1/jobs/${id}/events`, {
    headers: { accept: "application/x-ndjson" },
  });
  const after = await scrape();
  const grown = (sample: string): number => valueOf(after, sample) - valueOf(before, sample);
  expect(grown("holdline_stream_events_sent_total")).toBe((await api.log(id)).length);
  expect(grown("holdline_stream_sent_bytes_total")).toBe(Buffer.byteLength(stream.text));
});

test("names routes by their patterns, and what is none by one word", async () => {
  const wild = [
    "/nothing",
    "/v1/jobs/../../x",
    `/v1/jobs/${"y".repeat(300)}/nothing`,
    "/v1/jobs?token=secret",
  ];
  for (const path of wild) await fetch(app().url + path);
  await fetch(`${app().url}/v1/jobs/abc`, { method: "PATCH" });
  const text = await scrape();
  const routes = new Set([...text.matchAll(/route="([^"]*)"/g)].map(([, route]) => route));
  const known = new Set([...ROUTES.map(([, pattern]) => pattern), "none"]);
  expect([...routes].filter((route) => !known.has(route ?? ""))).toEqual([]);
  expect(text).not.toContain("secret");
  expect(valueOf(text, 'holdline_http_requests_total{route="none",method="PATCH",status="405"}')).toBe(1);
});

test("is read by a strict scraper: helps and types, and buckets that only grow", async () => {
  const families = readExposition(await scrape());
  expect(families.size).toBeGreaterThan(20);
  for (const [name, { type, samples }] of families) {
    expect(name.endsWith("_total") ? type : "counter").toBe("counter");
    if (type !== "histogram") continue;
    const series = Map.groupBy(
      [...samples].filter(([sample]) => sample.startsWith(`${name}_bucket`)),
      ([sample]) => sample.replace(/,?le="[^"]*"/, ""),
    );
    for (const [labels, buckets] of series) {
      const counts = buckets.map(([, count]) => count);
      expect(counts).toEqual(counts.toSorted((a, b) => a - b));
      const total = labels.replace("_bucket", "_count").replace("{}", "");
      expect(samples.get(total)).toBe(counts.at(-1) ?? Number.NaN);
    }
  }
});
