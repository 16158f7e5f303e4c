/** R29: a handler that reports its progress as fast as it can fills no log and keeps nobody waiting. */
import { expect, test } from "bun:test";
import { connect } from "../support/client.ts";
import { apiOf, tokensBody } from "../support/http.ts";
import { expectWhole } from "../support/log-checker.ts";
import { startServer } from "../support/server.ts";
import { LIMITS } from "../../src/protocol/limits.ts";

test("faults/R29 50,000 reports of progress: folded, the last one kept, others served meanwhile", async () => {
  await using server = await startServer({ program: "faults/odd-server.ts" });
  await using client = await connect(server);
  const api = apiOf(server, client.token);
  const REPORTS = 25_000;
  const begun = performance.now();
  const floods = await Promise.all(
    [true, false].map((awaited) => api.submit({ type: "eager", input: { reports: REPORTS, awaited } })),
  );
  const other = await api.submit(tokensBody());
  expect((await client.waitForEnd(other.id)).kind).toBe("job.succeeded");
  for (const { id } of floods) await client.waitForEnd(id, 20_000);
  const mostReports = 2 + (performance.now() - begun) / LIMITS.progressMs;
  for (const { id } of floods) {
    expect(await api.job(id)).toMatchObject({ status: "succeeded", progress: { ratio: 1 } });
    const log = await api.log(id);
    expectWhole(log, [{ after: 0, events: client.events(id) }]);
    const reports = log.filter(({ kind }) => kind === "job.progress");
    expect(reports.length).toBeWithin(2, mostReports + 1);
    expect(reports.at(-1)?.data).toEqual({ ratio: 1, message: `step ${REPORTS}` });
  }
}, 60_000);
