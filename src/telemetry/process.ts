/** How this process fares: memory, processor time, age, and how late its event loop runs. */
import type { Clock, Timer } from "../lib/clock.ts";
import { counter, gauge, type Family } from "./exposition.ts";
import { createHistogram } from "./histogram.ts";

export interface ProcessGauges {
  start(): void;
  stop(): void;
  families(): readonly Family[];
}

/** How often the event loop is asked for its punctuality. */
const LOOK_MS = 250;

export function createProcessGauges(clock: Clock): ProcessGauges {
  const begunMs = clock.elapsedMs();
  const lateness = createHistogram();
  let timer: Timer | null = null;
  let dueMs = 0;

  return {
    start() {
      dueMs = clock.elapsedMs() + LOOK_MS;
      timer ??= clock.every(LOOK_MS, () => {
        const nowMs = clock.elapsedMs();
        lateness.observe(Math.max(nowMs - dueMs, 0) / 1000);
        dueMs = nowMs + LOOK_MS;
      });
    },
    stop() {
      timer?.cancel();
      timer = null;
    },
    families() {
      const { user, system } = process.cpuUsage();
      return [
        {
          name: "holdline_event_loop_lag_seconds",
          help: `How late the event loop ran a timer, looked at every ${LOOK_MS} ms.`,
          type: "histogram",
          samples: [{ reading: lateness.read() }],
        },
        gauge("holdline_uptime_seconds", "Age of this process.", (clock.elapsedMs() - begunMs) / 1000),
        gauge("process_resident_memory_bytes", "Resident memory.", process.memoryUsage.rss()),
        counter("process_cpu_seconds_total", "Processor time of all threads.", (user + system) / 1e6),
      ];
    },
  };
}
