/** What must be true at the end, whatever was done: of each job, of what each client saw, and of the database. */
import { apiOf } from "../../support/http.ts";
import { checkDeliveries, checkLog, textOf } from "../../support/log-checker.ts";
import { together } from "../../support/rooms.ts";
import type { EventBody } from "../../support/wire.ts";
import { HALL, type Scene } from "./scene.ts";
import { CHECK } from "./well.ts";
import type { Accepted } from "./work.ts";

const SIZE = 10;
const LOCK_MS = 3000;
const TERMINAL = "('succeeded', 'failed', 'canceled', 'expired')";
const ENDS = "('job.succeeded', 'job.failed', 'job.canceled', 'job.expired')";

/**
 * `at` is when the transaction of an entry began; on a busy machine it may have waited for that of the entry before, on
 * another node, for as long as PostgreSQL waits for a lock.
 */
function isNoWait(flaw: string): boolean {
  const [, from, to] = /at goes back from (\d+) to (\d+)/.exec(flaw) ?? [];
  return from === undefined || Number(from) - Number(to) > LOCK_MS;
}

/** The log of a job, the same from every node. */
async function logOf(scene: Scene, { id, userToken }: Accepted): Promise<[EventBody[], string[]]> {
  const logs = await Promise.all(scene.nodes.map((node) => apiOf(node, userToken).log(id)));
  const [first = [], ...others] = logs;
  const same = others.every((log) => Bun.deepEquals(log, first, true));
  return [first, same ? [] : ["the nodes tell different logs"]];
}

async function judgeJob(scene: Scene, accepted: Accepted): Promise<[EventBody[], string[]]> {
  const [log, flaws] = await logOf(scene, accepted);
  const deliveries = accepted.deliveries();
  flaws.push(...checkLog(log).filter(isNoWait), ...checkDeliveries(log, deliveries));
  if (deliveries.findLast(({ events }) => events.length > 0)?.events.at(-1)?.seq !== log.length)
    flaws.push("its client did not see its end");
  // Each connection goes on where the one before stopped: what lies between was not seen twice, nor missed.
  let cursor = 0;
  for (const { after, events } of deliveries) {
    if (after !== cursor) flaws.push(`a connection went on after ${after}, where ${cursor} was seen`);
    cursor = events.at(-1)?.seq ?? after;
  }
  const end = log.at(-1)?.kind;
  if (end === "job.succeeded") {
    const length = textOf(log).length;
    if (length !== accepted.tokens * SIZE) flaws.push(`its text has ${length} characters`);
  } else if (end !== "job.canceled" || !accepted.mayBeCanceled)
    flaws.push(`it ended with ${end}: ${JSON.stringify(log.at(-1)?.data)}`);
  return [log, flaws.map((flaw) => `job ${accepted.id}: ${flaw}`)];
}

/** By the tables alone. `jobs`: so many there must be, and no more. */
export async function judgeDatabase(scene: Scene, jobs: number): Promise<string[]> {
  const ask = (text: string) => scene.cluster.postgres.query(scene.cluster.databaseUrl, text);
  const [counted] = await ask(
    `SELECT count(*)::int AS jobs, count(*) FILTER (WHERE status NOT IN ${TERMINAL})::int AS open
     FROM jobs WHERE metadata <> '${JSON.stringify(CHECK)}'`,
  );
  const broken = await ask(
    `SELECT jobs.id, status, head, lost_leases, log.* FROM jobs, LATERAL (
       SELECT count(*)::int AS entries, min(id & 4194303)::int AS first, max(id & 4194303)::int AS last,
              count(*) FILTER (WHERE kind IN ${ENDS})::int AS ends,
              max(id & 4194303) FILTER (WHERE kind IN ${ENDS})::int AS end
       FROM job_events WHERE id >= num << 22 AND id < (num + 1) << 22) AS log
     WHERE (entries, first, last, ends, "end") IS DISTINCT FROM (head, 1, head, 1, head)
        OR status = 'failed' OR lease_token IS NOT NULL`,
  );
  return [
    ...(counted?.["jobs"] === jobs
      ? []
      : [`${JSON.stringify(counted?.["jobs"])} jobs are stored, ${jobs} were accepted`]),
    ...(counted?.["open"] === 0 ? [] : [`${JSON.stringify(counted?.["open"])} jobs have not ended`]),
    ...broken.map((row) => `in the database: ${JSON.stringify(row)}`),
  ];
}

/** What every connection was told of the room, put together; and how the sessions came about. */
export function judgeSessions({ clients }: Scene): string[] {
  return clients.flatMap(({ sessionId, clients: sockets, moves, refusals }) => {
    const flaws: string[] = [];
    for (const socket of sockets) {
      try {
        together(socket, HALL);
      } catch (error) {
        flaws.push(String(error));
      }
    }
    if (moves.some(({ resumed }) => !resumed)) flaws.push("was given another session");
    if (refusals.has(4501) || refusals.has(4502)) flaws.push("was said to be over");
    return flaws.map((flaw) => `session ${sessionId}: ${flaw}`);
  });
}

/** All flaws, and how long after each blow the jobs that it stopped were started again. */
export async function judgeJobs(
  scene: Scene,
  accepted: readonly Accepted[],
): Promise<{ flaws: string[]; restarts: Map<string, number[]> }> {
  const flaws: string[] = [];
  const restarts = new Map<string, number[]>();
  for (const job of accepted) {
    const [log, found] = await judgeJob(scene, job);
    flaws.push(...found);
    for (const [index, { kind, data, at }] of log.entries()) {
      if (kind !== "job.retrying" || !["worker_lost", "restart"].includes(data.reason ?? "")) continue;
      const started = log.slice(index).find((event) => event.kind === "job.started");
      const blow = scene.blows.findLast(({ struckAt }) => struckAt <= at);
      if (started === undefined || blow === undefined) continue;
      if (at > blow.returnedBy && at <= blow.wellAt)
        flaws.push(`job ${job.id}: returned ${at - blow.struckAt} ms after “${blow.name}” began`);
      const known = restarts.get(blow.name) ?? [];
      restarts.set(blow.name, [...known, started.at - blow.struckAt]);
    }
  }
  return { flaws, restarts };
}
