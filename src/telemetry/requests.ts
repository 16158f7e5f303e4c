/** HTTP calls by route, method and status. Routes are patterns, never paths: the number of series must not grow with use. */
import type { Clock } from "../lib/clock.ts";
import type { Family } from "./exposition.ts";
import { createHistogram, type Histogram } from "./histogram.ts";

export interface RequestCounters {
  /** A reading of the clock, for `count`. */
  begin(): number;
  /** The call was answered: headers are ready, a body may still be streamed. */
  count(call: {
    readonly route: string;
    readonly method: string;
    readonly status: number;
    readonly begun: number;
  }): void;
  families(): readonly Family[];
}

interface Series {
  readonly route: string;
  readonly method: string;
  readonly statuses: Map<number, number>;
  readonly durations: Histogram;
}

const METHODS: ReadonlySet<string> = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);

export function createRequestCounters(clock: Clock): RequestCounters {
  const routes = new Map<string, Map<string, Series>>();

  const seriesOf = (route: string, given: string): Series => {
    // Whoever invents methods must not invent series with them.
    const method = METHODS.has(given) ? given : "other";
    let methods = routes.get(route);
    if (methods === undefined) routes.set(route, (methods = new Map<string, Series>()));
    let series = methods.get(method);
    if (series === undefined) {
      series = { route, method, statuses: new Map(), durations: createHistogram() };
      methods.set(method, series);
    }
    return series;
  };

  return {
    begin: () => clock.elapsedMs(),
    count({ route, method, status, begun }) {
      const { statuses, durations } = seriesOf(route, method);
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
      durations.observe((clock.elapsedMs() - begun) / 1000);
    },
    families() {
      const all = [...routes.values()].flatMap((methods) => Array.from(methods.values()));
      return [
        {
          name: "holdline_http_requests_total",
          help: "HTTP calls that were answered.",
          type: "counter",
          samples: all.flatMap(({ route, method, statuses }) =>
            [...statuses].map(([status, value]) => ({
              labels: { route, method, status: String(status) },
              value,
            })),
          ),
        },
        {
          name: "holdline_http_request_duration_seconds",
          help: "Time from a call to the headers of its answer; calls that ask to wait wait in it.",
          type: "histogram",
          samples: all.map(({ route, method, durations }) => ({
            labels: { route, method },
            reading: durations.read(),
          })),
        },
      ];
    },
  };
}
