/** The contract of `JobStore` (src/jobs/store.ts) as a suite: every driver is held to the same one. */
import { describe, test } from "bun:test";
import type { JobStore } from "../../src/jobs/store.ts";
import { drive, type Check } from "./drive.ts";
import { announcing } from "./job-store/announcing.ts";
import { canceling } from "./job-store/canceling.ts";
import { claiming } from "./job-store/claiming.ts";
import { ending } from "./job-store/ending.ts";
import { fencing } from "./job-store/fencing.ts";
import { heads } from "./job-store/heads.ts";
import { idempotency } from "./job-store/idempotency.ts";
import { lanes } from "./job-store/lanes.ts";
import { listing } from "./job-store/listing.ts";
import { losing } from "./job-store/losing.ts";
import { puttingOff } from "./job-store/putting-off.ts";
import { queueing } from "./job-store/queueing.ts";
import { reading } from "./job-store/reading.ts";
import { remote } from "./job-store/remote.ts";
import { retention } from "./job-store/retention.ts";
import { scheduling } from "./job-store/scheduling.ts";
import { submitting } from "./job-store/submitting.ts";
import { timing } from "./job-store/timing.ts";
import { webhooks } from "./job-store/webhooks.ts";
import { writing } from "./job-store/writing.ts";
import { expectSoundStore } from "./sound.ts";

export interface OpenedJobStore {
  readonly store: JobStore;
  close(): Promise<void>;
}

const TOPICS: readonly (readonly [name: string, topic: (check: Check) => void])[] = [
  ["submit", submitting],
  ["an idempotency key", idempotency],
  ["a lane", lanes],
  ["claim", claiming],
  ["the queue", queueing],
  ["a job that is put off", puttingOff],
  ["a schedule", scheduling],
  ["append and checkpoint", writing],
  ["a lease", fencing],
  ["the end of a run", ending],
  ["a lost lease", losing],
  ["a run in a remote worker", remote],
  ["cancel", canceling],
  ["sweep, renew and recover", timing],
  ["reading one job", reading],
  ["reading many jobs", listing],
  ["how jobs stand", heads],
  ["an announcement", announcing],
  ["purge and retain", retention],
  ["a webhook", webhooks],
];

/** Declares the suite. `open` gives a store without jobs, once for each test. */
export function describeJobStore(name: string, open: () => Promise<OpenedJobStore>): void {
  describe(name, () => {
    for (const [topic, declare] of TOPICS) {
      describe(topic, () => {
        declare((promise, body) => {
          test(promise, async () => {
            const opened = await open();
            try {
              const driven = drive(opened.store);
              await body(driven);
              await expectSoundStore(opened.store, driven.announced);
            } finally {
              await opened.close();
            }
          });
        });
      });
    }
  });
}
