/** The product's own client, as a page would use it, with a record of what it handed on and of how it was connected. */
import { createClient, type Client, type ClientOptions } from "../../src/client/client.ts";
import type { ConnectionState } from "../../src/client/connection.ts";
import type { JobHandle } from "../../src/client/handle.ts";
import type { JobEvent } from "../../src/client/job-events.ts";
import type { Delivery } from "../support/log-checker.ts";
import { until } from "../support/wait.ts";
import type { EventData, ReceivedEvent } from "../support/wire.ts";

export interface PageClient extends AsyncDisposable {
  readonly client: Client;
  /** Every state it went through, in order. */
  readonly states: readonly ConnectionState[];
  /** Entries that were missing or overlapped. */
  readonly gaps: readonly unknown[];
  /** Resolves when it is online (again). */
  online(limitMs?: number): Promise<void>;
  /** Records what this job's handle is given from now on. */
  record(job: JobHandle): Recorded;
}

export interface Recorded {
  readonly job: JobHandle;
  readonly events: readonly JobEvent[];
  /** What was handed on, as one delivery from `after` on. */
  delivery(after?: number): Delivery;
}

const TERMINAL = new Set(["job.succeeded", "job.failed", "job.canceled", "job.expired"]);

function toReceived(event: JobEvent): ReceivedEvent {
  if (event.kind === "output.replaced") throw new Error("the log could not be read from the cursor");
  const { job, first, seq, attempt, at, kind, data } = event;
  const bytes = data instanceof Uint8Array ? data : undefined;
  return {
    job,
    first,
    seq,
    attempt,
    at,
    kind,
    data: bytes === undefined ? (data as EventData) : {},
    terminal: TERMINAL.has(kind),
    ...(bytes === undefined ? {} : { bytes }),
    frameBytes: 0,
  };
}

/** A client that is on its way to the server behind `url`; its waits are drawn from `random`. */
export function startPageClient(url: string, options: Partial<ClientOptions> = {}): PageClient {
  const client = createClient({ url, storage: null, ...options });
  const states: ConnectionState[] = [];
  const gaps: unknown[] = [];
  client.on("state", (state) => states.push(state));
  client.on("gap", (gap) => gaps.push(gap));
  client.connect();
  return {
    client,
    states,
    gaps,
    online: async (limitMs) => {
      await until("the client to be online", () => client.state.phase === "online", limitMs);
    },
    record(job) {
      const events: JobEvent[] = [];
      job.on("event", (event) => {
        // Bytes are a view of a frame that is the runtime's to reuse.
        const copied =
          event.kind !== "output.replaced" && event.data instanceof Uint8Array
            ? ({ ...event, data: event.data.slice() } as JobEvent)
            : event;
        events.push(copied);
      });
      return {
        job,
        events,
        delivery: (after = 0) => ({ after, events: events.map(toReceived) }),
      };
    },
    async [Symbol.asyncDispose]() {
      client.close();
      await Promise.resolve();
    },
  };
}
