/** One page with the real client in it, and what its user saw of each job: in order, whole, and as it was committed. */
import { createClient, type Client } from "../../src/client/client.ts";
import type { JobHandle } from "../../src/client/handle.ts";
import type { JobEnd } from "../../src/client/job-events.ts";
import type { ClientStorage } from "../../src/client/memory.ts";
import { isAsStored, textAfter } from "./deliveries.ts";
import type { KnownJob, Model } from "./model.ts";
import { SERVER_URL, type Link, type Network } from "./network.ts";
import type { Random } from "./random.ts";
import { violate, type Scene } from "./scene.ts";
import { createProcess, createProcessClock, type Process } from "./timeline.ts";

/** A tab's sessionStorage. */
export type Kept = Map<string, string>;

export interface PageOptions {
  readonly scene: Scene;
  readonly model: Model;
  readonly network: Network;
  readonly link: Link;
  readonly random: Random;
  readonly name: string;
  readonly kept: Kept;
  readonly userToken: () => string;
}

export interface Page {
  readonly name: string;
  readonly client: Client;
  readonly process: Process;
  readonly kept: Kept;
  /** What its user follows, or waits for to be accepted. */
  readonly watched: ReadonlySet<JobHandle>;
  /** Checks what this handle gives from seq `after` on. */
  watch(handle: JobHandle, after: number): void;
  /** Its user does not want to know any more. */
  drop(handle: JobHandle): void;
  /** The page is gone; `saves`: as a browser lets it, before it goes. */
  leave(saves: boolean): void;
}

const OUTCOMES: Readonly<Record<string, JobEnd["outcome"]>> = {
  "job.succeeded": "succeeded",
  "job.failed": "failed",
  "job.canceled": "canceled",
  "job.expired": "expired",
};

function storageOf(kept: Kept): ClientStorage {
  return {
    getItem: (key) => kept.get(key) ?? null,
    setItem: (key, value) => void kept.set(key, value),
    removeItem: (key) => void kept.delete(key),
  };
}

/** What a user may be told when a job that he handed in was not accepted. */
const REFUSALS = new Set([
  "network",
  "storage_unavailable",
  "draining",
  "too_many_jobs",
  "closed",
  "aborted",
  "offline",
]);
const EXPECTED = new Set([
  ...REFUSALS,
  "already_followed",
  "job_purged",
  "session_gone",
  "token_expired",
  "token_revoked",
  "queue_full",
]);

export function openPage(options: PageOptions): Page {
  const { scene, model, network, link, random, name, kept } = options;
  const process = createProcess(name);
  const watched = new Set<JobHandle>();
  const clock = createProcessClock({
    timeline: scene.timeline,
    wall: scene.wall,
    process,
    lateMs: () => 0,
    common: false,
  });
  const client = createClient({
    url: SERVER_URL,
    credential: async () => options.userToken(),
    fetch: network.fetch(link, process),
    webSocket: network.socketClass(link, process),
    storage: storageOf(kept),
    random: () => random.next(),
    clock,
  });
  client.on("state", (state) => {
    const why = "cause" in state ? ` (${state.cause})` : "";
    scene.trace.note(`${name} is ${state.phase}${why}`);
    scene.sometimes.reached(`a client is ${state.phase}${why}`);
  });
  client.on("gap", ({ job, cursor, first, seq }) => {
    violate(scene, "a log is sent from its cursor on", `${name} ${job}: ${first}…${seq} after ${cursor}`);
  });

  const known = (handle: JobHandle): KnownJob | null => (handle.id === null ? null : model.job(handle.id));

  const ended = (handle: JobHandle, end: JobEnd, cursor: number | null): void => {
    const job = known(handle);
    const last = job?.log.at(-1);
    const where = `${name} ${job?.wish ?? handle.id} ${end.outcome}`;
    if (end.outcome === "lost" && end.code === "job_purged" && job?.purged === true)
      scene.sometimes.reached("a client hears that its job was deleted");
    else if (end.outcome === "lost") violate(scene, "accepted is answered", `${where} (${end.code})`);
    else if (job === null || last === undefined || OUTCOMES[last.kind] !== end.outcome)
      violate(scene, "what is seen is stored", where);
    else if (cursor !== null && job.oldest === 1 && handle.text !== textAfter(job, cursor))
      violate(scene, "what is seen is stored", `${where}: other text`);
    scene.trace.note(where);
  };

  const watch = (handle: JobHandle, after: number): void => {
    if (watched.has(handle)) return;
    watched.add(handle);
    let cursor = after;
    // A handle that begins later has only what follows.
    let isWhole = after === 0;
    handle.on("event", (event) => {
      const job = known(handle) ?? model.job(event.job);
      const where = `${name} ${job?.wish ?? event.job} ${event.kind}`;
      if (job === null) violate(scene, "what is seen is stored", where);
      else if (event.kind === "output.replaced") {
        scene.sometimes.reached("a client's output is replaced");
        isWhole = true;
      } else {
        if (event.first !== cursor + 1)
          violate(
            scene,
            "each entry is handed on once",
            `${where} ${event.first}…${event.seq} after ${cursor}`,
          );
        if (!isAsStored(job, event))
          violate(scene, "what is seen is stored", `${where} ${event.first}…${event.seq}`);
        if (cursor > 0 && event.replayed) {
          scene.sometimes.reached("a client catches up");
          if (event.kind === "output.reset")
            scene.sometimes.reached("a client catches up with an output.reset");
        }
      }
      cursor = event.seq;
    });
    handle.on("end", (end) => ended(handle, end, isWhole ? cursor : null));
    handle.accepted.then(
      (id) => {
        if (model.job(id) === null) violate(scene, "accepted means stored", `${name} ${id}`);
      },
      (error: { readonly code: string; readonly message: string }) => {
        watched.delete(handle);
        scene.trace.note(`${name} was refused: ${error.code}`);
        if (!EXPECTED.has(error.code))
          violate(scene, "refusals have a reason", `${name}: ${error.code} ${error.message}`);
      },
    );
  };

  return {
    name,
    client,
    process,
    kept,
    watched,
    watch,
    drop(handle) {
      watched.delete(handle);
      handle.close();
    },
    leave(saves) {
      if (saves) client.save();
      process.alive = false;
      network.left(process);
    },
  };
}
