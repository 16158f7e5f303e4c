/** A crowd of the product's own clients, each with a job, that loses its connections at one moment; and how it comes back. */
import { createClient, type Client } from "../../src/client/client.ts";
import type { JobHandle } from "../../src/client/handle.ts";
import { lastingBody } from "../support/http.ts";
import { until } from "../support/wait.ts";

export interface Member {
  readonly client: Client;
  readonly job: JobHandle;
  /** When its job was followed again, and from where, since the crowd was last told to begin; in order. */
  readonly attached: { readonly atMs: number; readonly after: number; readonly recovered: boolean }[];
  /** How long it chose to wait after each loss. */
  readonly waits: number[];
  /** The codes and names of what it lost its connections by. */
  readonly causes: string[];
}

/** How many are made at a time: so that making the crowd is no storm of its own. */
const BATCH = 100;

async function openMember(url: string): Promise<Member> {
  const client = createClient({ url, storage: null });
  const attached: Member["attached"] = [];
  const waits: number[] = [];
  const causes: string[] = [];
  client.on("state", (state) => {
    if (state.phase !== "offline") return;
    waits.push(state.retryAtMs - performance.now());
    causes.push(state.cause);
  });
  client.connect();
  const job = client.submit(lastingBody());
  job.on("attached", ({ after, recovered }) => attached.push({ atMs: performance.now(), after, recovered }));
  await job.accepted;
  // Queued, started, first words: from here on there is something to resume, and nothing more comes.
  await until("the job to speak", () => job.cursor >= 3, 60_000);
  return { client, job, attached, waits, causes };
}

export async function openCrowd(url: string, count: number): Promise<Member[]> {
  const crowd: Member[] = [];
  while (crowd.length < count) {
    const size = Math.min(BATCH, count - crowd.length);
    crowd.push(...(await Promise.all(Array.from({ length: size }, () => openMember(url)))));
  }
  return crowd;
}

/** Forgets what was; the next loss is looked at by itself. */
export function beginAnew(crowd: readonly Member[]): void {
  for (const { attached, waits, causes } of crowd) {
    attached.length = 0;
    waits.length = 0;
    causes.length = 0;
  }
}

/** Resolves when each of them follows its job again; how long that took since `sinceMs`, sorted. */
export async function allResumed(
  crowd: readonly Member[],
  { sinceMs, limitMs }: { readonly sinceMs: number; readonly limitMs: number },
): Promise<number[]> {
  await until(
    "everybody to be back",
    () => crowd.every(({ client, attached }) => attached.length > 0 && client.state.phase === "online"),
    limitMs,
  );
  return crowd.map(({ attached }) => (attached[0]?.atMs ?? Number.NaN) - sinceMs).toSorted((a, b) => a - b);
}

export function closeCrowd(crowd: readonly Member[]): void {
  for (const { client } of crowd) client.close();
}
