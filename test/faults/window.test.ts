/** R01, R02, R04: killed on either side of a commit, before anybody was told; killed in the middle of a text. */
import { expect, test } from "bun:test";
import { connect } from "../support/client.ts";
import { apiOf, newSession, tokensBody } from "../support/http.ts";
import { expectWhole, outline, textOf } from "../support/log-checker.ts";
import { startServer } from "../support/server.ts";
import type { JobBody } from "../support/wire.ts";
import { inject } from "./disk/inject.ts";

/**
 * Where the process dies: before a write of the commit has been made it did not happen, before the fsync that follows
 * them it did, for whoever reads the file afterwards. What else is written now and then may be hit first, so each is tried a few times.
 */
const PLACES = ["pwrite64", "fsync", "pwrite64", "fsync", "pwrite64", "fsync", "pwrite64", "fsync"];

test("faults/R01 R02 killed before and after the commit of a submit, unanswered: its key makes it one job", async () => {
  await using server = await startServer();
  const { token } = await newSession(server);
  const api = apiOf(server, token);
  const listed = async (): Promise<string[]> =>
    (await api.call<{ items: JobBody[] }>("GET", "/v1/jobs?limit=200")).body.items.map(({ id }) => id);
  const met = { before: 0, after: 0 };
  let known: string[] = [];
  for (const [round, call] of PLACES.entries()) {
    if (met.before > 0 && met.after > 0) break;
    const key = { "idempotency-key": `round-${round}` };
    {
      await using _ = await inject(server, { calls: [call], error: "SIGKILL", when: "1" });
      const answer = await api.post(tokensBody(), key).catch(() => null);
      await server.exited();
      expect(answer).toBeNull();
    }
    await server.restart();
    const [made, ...more] = (await listed()).filter((id) => !known.includes(id));
    expect(more).toEqual([]);
    if (made === undefined) met.before += 1;
    else met.after += 1;

    const again = await api.post(tokensBody(), key);
    expect(again.status).toBe(202);
    expect(again.headers.get("idempotent-replayed")).toBe(made === undefined ? null : "true");
    if (made !== undefined) expect(again.body.id).toBe(made);
    const job = await api.finished(again.body.id);
    expect(job).toMatchObject({ status: "succeeded", result: { tokens: 3 } });
    const log = await api.log(job.id);
    expectWhole(log);
    expect(log.filter(({ kind }) => kind === "job.succeeded")).toHaveLength(1);
    const present = await listed();
    expect(present).toHaveLength(known.length + 1);
    known = present;
  }
  expect(met.before).toBeGreaterThan(0);
  expect(met.after).toBeGreaterThan(0);
}, 60_000);

test("faults/R04 killed in the middle of a text: the next run says so first, and the result is its own alone", async () => {
  await using server = await startServer();
  const client = await connect(server);
  const { id } = await apiOf(server, client.token).submit(
    tokensBody({ tokens: 60, size: 8, intervalMs: 15, audioBytes: 32 }),
  );
  const half = await client.waitForEvent(id, "half of it", ({ seq }) => seq > 40);
  const { token } = client;
  await server.restart();
  await using again = await connect(server, { token });
  await again.attach(id, half.seq);
  await again.waitForEnd(id);
  const api = apiOf(server, again.token);
  const log = await api.log(id);
  expectWhole(log, [
    { after: 0, events: client.events(id) },
    { after: half.seq, events: again.events(id) },
  ]);
  const kinds = outline(log);
  const retry = log.findIndex(({ kind }) => kind === "job.retrying");
  expect(log[retry]?.data).toMatchObject({ reason: "restart" });
  expect(log.slice(retry + 1, retry + 3).map(({ kind, attempt }) => [kind, attempt])).toEqual([
    ["job.started", 2],
    ["output.reset", 2],
  ]);
  expect(kinds.at(-1)).toBe("job.succeeded");
  expect(textOf(log)).toHaveLength(60 * 8);
  const output = await api.output(id);
  expect(output).toMatchObject({ attempt: 2, audio: { bytes: 60 * 32 } });
  expect(output.text).toBe(textOf(log));
}, 60_000);
