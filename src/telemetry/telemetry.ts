/** Everything that is counted in this process, put together once by the composition root and read by a scrape. */
import type { Clock } from "../lib/clock.ts";
import { backplaneFamilies, type BackplaneReading } from "./backplane.ts";
import { createDeliveryCounters, type DeliveryCounters } from "./deliveries.ts";
import { diskFamilies, type DiskReading } from "./disk.ts";
import { counter, exposition, gauge } from "./exposition.ts";
import { createJobCounters, type JobCounters } from "./jobs.ts";
import { createProcessGauges } from "./process.ts";
import { createRequestCounters, type RequestCounters } from "./requests.ts";
import { createWriteCounters, type WriteCounters } from "./writes.ts";

/** What other parts know anyway and are asked for at the scrape. */
export interface Readings {
  /** Processes of this installation by state, as far as this one knows. */
  readonly nodes: Readonly<Record<string, number>>;
  readonly connections: number;
  /** Runs in flight. */
  readonly runs: number;
  /** Handlers that ignore that they were stopped, by type. */
  readonly abandoned: ReadonlyMap<string, number>;
  readonly disk: DiskReading;
  readonly backplane: BackplaneReading;
  /** Jobs that are queued or wait for another run. */
  readonly waiting: number;
  /** Whose figures these are. */
  readonly node: string;
  /** That are not over; null while nobody can say. */
  readonly sessions: { readonly online: number; readonly away: number } | null;
  readonly sessionOutage: { readonly away: boolean; readonly written: number };
  /** Members of rooms whom a look found otherwise than they were known here. */
  readonly mendedMembers: number;
  readonly workers: WorkerReadings;
}

/** Of remote workers. */
export interface WorkerReadings {
  readonly polls: number;
  readonly leases: number;
  readonly leased: number;
  readonly items: number;
  readonly lost: number;
}

export interface Telemetry {
  readonly jobs: JobCounters;
  readonly deliveries: DeliveryCounters;
  readonly requests: RequestCounters;
  readonly writes: WriteCounters;
  sessionOpened(): void;
  sessionLoggedOut(): void;
  start(): void;
  stop(): void;
  /** The answer to a scrape (exposition.ts). */
  render(readings: Readings): string;
}

export function createTelemetry({
  clock,
  version,
}: {
  readonly clock: Clock;
  readonly version: string;
}): Telemetry {
  const jobs = createJobCounters();
  const deliveries = createDeliveryCounters();
  const requests = createRequestCounters(clock);
  const writes = createWriteCounters();
  const own = createProcessGauges(clock);
  let opened = 0;
  let loggedOut = 0;

  return {
    jobs,
    deliveries,
    requests,
    writes,
    sessionOpened: () => {
      opened += 1;
    },
    sessionLoggedOut: () => {
      loggedOut += 1;
    },
    start: () => own.start(),
    stop: () => own.stop(),
    render: ({
      node,
      nodes,
      connections,
      runs,
      abandoned,
      workers,
      disk,
      backplane,
      waiting,
      sessions,
      sessionOutage,
      mendedMembers,
    }) =>
      exposition([
        {
          name: "holdline_info",
          help: "Which program this is.",
          type: "gauge",
          samples: [{ labels: { version, node, bun: Bun.version }, value: 1 }],
        },
        {
          name: "holdline_nodes",
          help: "Processes of this installation, by state.",
          type: "gauge",
          samples: Object.entries(nodes).map(([state, value]) => ({ labels: { state }, value })),
        },
        ...jobs.families(),
        gauge("holdline_jobs_waiting", "Jobs that are queued or wait for another run.", waiting),
        gauge("holdline_runs", "Runs in flight in this process.", runs),
        {
          name: "holdline_runs_abandoned",
          help: "Runs whose handler ignores that it was stopped: their jobs have ended, their places are taken.",
          type: "gauge",
          samples: [...abandoned].map(([type, value]) => ({ labels: { type }, value })),
        },
        gauge("holdline_worker_polls", "Calls of remote workers that wait for a job.", workers.polls),
        gauge(
          "holdline_worker_leases",
          "Runs in remote workers, as far as this process knows.",
          workers.leases,
        ),
        counter("holdline_worker_leased_total", "Jobs that were leased to remote workers.", workers.leased),
        counter("holdline_worker_lost_total", "Leases that remote workers lost.", workers.lost),
        counter("holdline_worker_items_total", "Items that remote workers sent.", workers.items),
        ...writes.families(),
        ...diskFamilies(disk),
        ...backplaneFamilies(backplane),
        {
          name: "holdline_sessions",
          help: "Sessions that are not over, with a socket and without.",
          type: "gauge",
          samples: Object.entries(sessions ?? {}).map(([state, value]) => ({ labels: { state }, value })),
        },
        gauge(
          "holdline_sessions_reachable",
          "1: the store of sessions answers. 0: sessions known here go on from memory, others are refused.",
          sessionOutage.away ? 0 : 1,
        ),
        counter(
          "holdline_sessions_rewritten_total",
          "Sessions of this node that were written down again after their store was out of reach.",
          sessionOutage.written,
        ),
        counter(
          "holdline_rooms_mended_total",
          "Members of rooms whom a look found otherwise than known here: news on its way, or never told.",
          mendedMembers,
        ),
        gauge("holdline_connections", "Open sockets.", connections),
        ...deliveries.families(),
        counter("holdline_sessions_opened_total", "Sessions that were opened here.", opened),
        counter("holdline_sessions_logged_out_total", "Sessions that were logged out or revoked.", loggedOut),
        ...requests.families(),
        ...own.families(),
      ]),
  };
}
