/**
 * The whole selftest: a child server under load is killed at random moments and started again, until the time is over. Then
 * everything that was accepted has to end, and the judge reads the clients' histories beside the server's logs.
 */
import { startChildServer, WITHOUT_LIMITS } from "../child/server.ts";
import { audit, unended } from "./audit.ts";
import { judgeJob } from "./checker.ts";
import { nextInput } from "./jobs.ts";
import { killLoop, startAnew } from "./kill-loop.ts";
import { createLoadClient, type LoadClient } from "./load-client.ts";
import {
  count,
  createTally,
  readerOf,
  type Report,
  reportOf,
  type Scene,
  type SelftestOptions,
  SETTLE_MS,
  type Tally,
} from "./scene.ts";
import { watchMemory } from "./memory.ts";
import { readLog } from "./server-side.ts";

/** Jobs that one client has under way at a time. */
const LANES = 2;
/** Jobs that are handed in once more under their key, as a client does whose answer was lost. */
const REPEATED_SHARE = 0.1;
const DRAIN_MS = 5000;

/** One job after the other, each judged by its log as soon as it has ended. */
async function workLane(scene: Scene, client: LoadClient, lane: number): Promise<void> {
  const { options, tally, over, stopped } = scene;
  const aborted = Promise.withResolvers<never>();
  aborted.promise.catch(() => undefined);
  stopped.addEventListener("abort", () => aborted.reject(stopped.reason), { once: true });
  for (let n = 1; !over.aborted; n += 1) {
    const input = nextInput(options.random);
    const [key, body] = [`${client.name}-${lane}-${n}`, { type: "tokens", input }];
    const job = await client.submit(key, body);
    // Should it make another job, the books tell.
    if (options.random() < REPEATED_SHARE) await client.submit(key, body);
    await Promise.race([client.finished(job), aborted.promise]);
    const log = await readLog(readerOf(scene, client), job);
    count(tally, judgeJob({ job, deliveries: client.take(job), input }, log, options.maxLostLeases));
  }
}

function createClients({ clients, clock, random }: SelftestOptions, url: string, tally: Tally): LoadClient[] {
  return Array.from({ length: clients }, (_, index) =>
    createLoadClient({
      name: `client-${index + 1}`,
      url,
      clock,
      random,
      onResumed(lostMs) {
        const nowMs = clock.elapsedMs();
        tally.resumed.push(nowMs - lostMs);
        // Who came while it started may be welcome before its line is read.
        tally.reconnect.push(tally.backMs === null ? 0 : nowMs - Math.max(tally.backMs, lostMs));
      },
    }),
  );
}

/** Tells how far it is, once a quarter of a second. Returns what ends that. */
function keepTelling({ options, clients, tally, over, stopped }: Scene): () => void {
  const { clock, onProgress } = options;
  const tell = (): void =>
    onProgress?.({
      elapsedMs: clock.elapsedMs() - tally.started,
      kills: tally.kills,
      accepted: clients.reduce((sum, client) => sum + client.accepted, 0),
      answered: tally.answered,
      events: tally.events,
      flaws: tally.flaws.length,
      phase: !over.aborted ? "load" : stopped.aborted ? "checking" : "settling",
    });
  const timer = clock.every(250, tell);
  return () => timer.cancel();
}

/** Runs the whole test. Rejects when the server cannot be started at all; everything else is in the report. */
export async function runSelftest(options: SelftestOptions): Promise<Report> {
  const { clock, random, signal, folder } = options;
  const flags = {
    ...WITHOUT_LIMITS,
    "drain-ms": String(DRAIN_MS),
    durability: options.durability,
    "max-lost-leases": String(options.maxLostLeases),
  };
  const { databaseUrl = null } = options;
  // Not as a flag: everybody on the machine can read those, and the URL may bear a password.
  const settings = databaseUrl === null ? {} : { HOLDLINE_DATABASE_URL: databaseUrl };
  const child = await startChildServer({ folder, flags, settings, random });
  const tally = createTally(clock.elapsedMs());
  const [over, stopped] = [new AbortController(), new AbortController()];
  const end = (): void => over.abort(new Error("the time is over"));
  const giveUp = (): void => stopped.abort(new Error("not everything ended in time"));
  signal.addEventListener("abort", end, { once: true });
  const clients = createClients(options, child.url, tally);
  const memory = watchMemory(child, clock);
  const scene = { options, child, clients, memory, tally, over: over.signal, stopped: stopped.signal };
  const quiet = keepTelling(scene);
  try {
    options.onStarted?.(child);
    await Promise.all(clients.map((client) => client.connected()));
    const timer = clock.after(options.seconds * 1000, end);
    const lanes = clients.flatMap((client) =>
      Array.from({ length: LANES }, (_, lane) => workLane(scene, client, lane + 1)),
    );
    const working = Promise.allSettled(lanes);
    await killLoop(scene);
    timer.cancel();
    tally.loadedMs = clock.elapsedMs() - tally.started;
    memory.stop();
    if (signal.aborted) await startAnew(child, clock, tally);
    const late = clock.after(SETTLE_MS, giveUp);
    for (const lane of await working) {
      if (lane.status === "rejected" && !stopped.signal.aborted)
        tally.flaws.push({ kind: "lost", text: String(lane.reason) });
    }
    late.cancel();
    tally.flaws.push(...unended(scene));
    return reportOf(scene, await audit(scene));
  } finally {
    quiet();
    memory.stop();
    for (const client of clients) client.close();
    await child.kill();
  }
}
