/** What is counted of jobs, sockets, calls, writes and the process itself. */
import { describe, expect, test } from "bun:test";
import type { JobStatus } from "../../src/protocol/jobs.ts";
import { createDeliveryCounters, type SocketLike } from "../../src/telemetry/deliveries.ts";
import { backplaneFamilies } from "../../src/telemetry/backplane.ts";
import { diskFamilies } from "../../src/telemetry/disk.ts";
import { exposition, type Family } from "../../src/telemetry/exposition.ts";
import { createJobCounters, type CommittedChange } from "../../src/telemetry/jobs.ts";
import { createProcessGauges } from "../../src/telemetry/process.ts";
import { createRequestCounters } from "../../src/telemetry/requests.ts";
import { createWriteCounters } from "../../src/telemetry/writes.ts";
import { createManualClock } from "./manual-clock.ts";
import { readExposition, valueOf } from "./scrape.ts";

/** A reader of the families of one part. */
function reader(part: { families(): readonly Family[] }) {
  return (sample: string): number => valueOf(exposition(part.families()), sample);
}

function change(status: JobStatus, first: number, kinds: readonly string[]): CommittedChange {
  return { job: { type: "chat", status }, first, events: kinds };
}

describe("jobs", () => {
  test("are counted in and out by type and status, with the entries of their logs", () => {
    const jobs = createJobCounters();
    const read = reader(jobs);
    jobs.committed([change("queued", 1, ["job.queued"]), change("queued", 1, ["job.queued"])]);
    jobs.committed([change("running", 2, ["job.started"])]);
    jobs.committed([change("running", 3, ["output.text", "output.text"])]);
    jobs.committed([change("succeeded", 5, ["job.succeeded"]), change("canceled", 2, ["job.canceled"])]);
    expect(read('holdline_jobs_accepted_total{type="chat"}')).toBe(2);
    expect(read('holdline_jobs_ended_total{type="chat",status="succeeded"}')).toBe(1);
    expect(read('holdline_jobs_ended_total{type="chat",status="canceled"}')).toBe(1);
    expect(read("holdline_events_committed_total")).toBe(7);
    expect(read("holdline_commits_total")).toBe(4);
  });
});

describe("a counted socket", () => {
  const answers: number[] = [];
  const calls: string[] = [];
  const socket: SocketLike = {
    send: () => answers.shift() ?? 0,
    close: (code, reason) => void calls.push(`close ${code} ${reason}`),
    cork: (run) => run(),
    getBufferedAmount: () => 17,
  };

  test("counts frames, those that bear entries, bytes, and what was dropped", () => {
    const deliveries = createDeliveryCounters();
    const counted = deliveries.counted(socket);
    answers.push(24, 100, -1, -1, 0);
    expect(counted.send('{"type":"ping","at":1}')).toBe(24);
    expect(counted.send('{"type":"event","seq":1}')).toBe(100);
    expect(counted.send('{"type":"event","data":"é"}')).toBe(-1);
    expect(counted.send(new Uint8Array(40))).toBe(-1);
    expect(counted.send('{"type":"event","seq":9}')).toBe(0);
    const read = reader(deliveries);
    expect(read("holdline_frames_sent_total")).toBe(4);
    expect(read("holdline_event_frames_sent_total")).toBe(3);
    // A socket that queued does not say how much: 28 bytes of text (é has two) and 40 of the chunk.
    expect(read("holdline_sent_bytes_total")).toBe(24 + 100 + 28 + 40);
    expect(read("holdline_frames_dropped_total")).toBe(1);
  });

  test("has streams over HTTP beside it, counted by page", () => {
    const deliveries = createDeliveryCounters();
    deliveries.streamed(3, 400);
    deliveries.streamed(0, 15);
    const read = reader(deliveries);
    expect(read("holdline_stream_events_sent_total")).toBe(3);
    expect(read("holdline_stream_sent_bytes_total")).toBe(415);
    expect(read("holdline_event_frames_sent_total")).toBe(0);
  });

  test("passes on everything else", () => {
    const counted = createDeliveryCounters().counted(socket);
    let corked = false;
    counted.cork(() => {
      corked = true;
    });
    counted.close(4000, "draining");
    expect({ corked, buffered: counted.getBufferedAmount(), calls }).toEqual({
      corked: true,
      buffered: 17,
      calls: ["close 4000 draining"],
    });
  });
});

describe("calls", () => {
  test("are counted by pattern, method and status, with their time", () => {
    const clock = createManualClock();
    const requests = createRequestCounters(clock);
    const call = (status: number, tookMs: number, method = "GET"): void => {
      const begun = requests.begin();
      clock.advance(tookMs);
      requests.count({ route: "/v1/jobs/:id", method, status, begun });
    };
    call(200, 3);
    call(200, 30);
    call(404, 1);
    call(202, 1, "POST");
    const read = reader(requests);
    expect(read('holdline_http_requests_total{route="/v1/jobs/:id",method="GET",status="200"}')).toBe(2);
    expect(read('holdline_http_requests_total{route="/v1/jobs/:id",method="GET",status="404"}')).toBe(1);
    expect(read('holdline_http_requests_total{route="/v1/jobs/:id",method="POST",status="202"}')).toBe(1);
    const took = "holdline_http_request_duration_seconds";
    expect(read(`${took}_count{route="/v1/jobs/:id",method="GET"}`)).toBe(3);
    expect(read(`${took}_sum{route="/v1/jobs/:id",method="GET"}`)).toBeCloseTo(0.034);
    expect(read(`${took}_bucket{route="/v1/jobs/:id",method="GET",le="0.005"}`)).toBe(2);
  });

  test("of invented methods share one series", () => {
    const requests = createRequestCounters(createManualClock());
    for (let index = 0; index < 100; index += 1) {
      requests.count({ route: "none", method: `BREW${index}`, status: 405, begun: requests.begin() });
    }
    const [calls] = requests.families();
    expect(calls?.samples).toHaveLength(1);
    expect(reader(requests)('holdline_http_requests_total{route="none",method="other",status="405"}')).toBe(
      100,
    );
  });
});

describe("writes", () => {
  test("are counted by commit: its time, its commands, and what was not taken", () => {
    const writes = createWriteCounters();
    writes.batch({ commands: 1, tookMs: 2, refused: 0 });
    writes.batch({ commands: 40, tookMs: 38, refused: 3 });
    const read = reader(writes);
    expect(read("holdline_commit_duration_seconds_count")).toBe(2);
    expect(read("holdline_commit_duration_seconds_sum")).toBeCloseTo(0.04);
    expect(read('holdline_commit_commands_bucket{le="1"}')).toBe(1);
    expect(read('holdline_commit_commands_bucket{le="50"}')).toBe(2);
    expect(read("holdline_commit_commands_sum")).toBe(41);
    expect(read("holdline_writes_refused_total")).toBe(3);
  });
});

describe("the disk", () => {
  test("is told with its level as a number", () => {
    const bytes = { freeBytes: 5, reusableBytes: 4, walBytes: 3, ballastBytes: 2 };
    const text = exposition(diskFamilies({ level: "full", ...bytes }));
    expect(valueOf(text, "holdline_disk_level")).toBe(2);
    expect(valueOf(text, "holdline_disk_free_bytes")).toBe(5);
    expect(valueOf(text, "holdline_database_reusable_bytes")).toBe(4);
    expect(valueOf(text, "holdline_wal_bytes")).toBe(3);
    expect(valueOf(text, "holdline_ballast_bytes")).toBe(2);
  });
});

test("the backplane is told with its health as a number", () => {
  const counts = { sent: 5, received: 4, dropped: 3, bad: 2, lost: 1 };
  const text = exposition(backplaneFamilies({ healthy: true, counts }));
  expect(valueOf(text, "holdline_backplane_healthy")).toBe(1);
  expect(
    valueOf(exposition(backplaneFamilies({ healthy: false, counts })), "holdline_backplane_healthy"),
  ).toBe(0);
  for (const [name, count] of Object.entries(counts))
    expect(valueOf(text, `holdline_backplane_${name}_total`)).toBe(count);
});

describe("the process", () => {
  test("knows its age, its memory, and how late the event loop ran", () => {
    const clock = createManualClock();
    const own = createProcessGauges(clock);
    const read = reader(own);
    own.start();
    clock.advance(1000);
    expect(read("holdline_event_loop_lag_seconds_count")).toBe(4);
    expect(read("holdline_event_loop_lag_seconds_sum")).toBe(0);
    clock.hold(750);
    expect(read("holdline_event_loop_lag_seconds_sum")).toBeCloseTo(0.5);
    expect(read("holdline_uptime_seconds")).toBeCloseTo(1.75);
    expect(read("process_resident_memory_bytes")).toBeGreaterThan(1_000_000);
    expect(read("process_cpu_seconds_total")).toBeGreaterThan(0);
    own.stop();
    expect(clock.waiting).toBe(0);
  });

  test("tells every family with a help and a type", () => {
    const families = readExposition(exposition(createProcessGauges(createManualClock()).families()));
    expect([...families.values()].every(({ help, type }) => help.endsWith(".") && type !== "")).toBe(true);
  });
});
