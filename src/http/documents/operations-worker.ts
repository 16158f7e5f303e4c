/** `/v1/worker` in words: what a program calls that does jobs from outside. */
import { LIMITS } from "../../protocol/limits.ts";
import { example, json, type Described } from "./describe.ts";
import { itemsExample, JOB_ID, leasedExample } from "./examples.ts";
import type { Parameter } from "./shape.ts";

const worker = { tag: "Workers", credential: "worker", method: "POST" } as const;
const control = "run";
const [leased] = leasedExample.jobs;
const lease = { job: JOB_ID, leaseToken: leased?.leaseToken ?? "" };

const LEASE: Parameter = {
  name: "Holdline-Lease",
  in: "header",
  required: true,
  description: "The `leaseToken` of the job. Secret.",
  schema: { type: "string" },
};

const ended = (status: string) => ({
  200: {
    description: "The run is over; the same end, said again under the same lease, is answered alike.",
    content: json("RunEnded", example(status, { job: JOB_ID, status })),
  },
});

export const WORKER_OPERATIONS: readonly Described[] = [
  {
    ...worker,
    path: "/v1/worker/lease",
    id: "leaseJobs",
    summary: "Take jobs",
    description: `Waits up to \`waitMs\` for a job of these types. Each comes under a lease; send a heartbeat or output within ${LIMITS.leaseUnheardMs} ms, or it goes back as if its answer had been lost.`,
    body: {
      description: "Who asks, and for what.",
      content: json("Lease", example("one", { worker: "gpu-3", types: ["render"], max: 1, waitMs: 30_000 })),
    },
    answers: {
      200: {
        description: "Jobs, or none and a `control` other than `run`.",
        content: json("Leased", {
          ...example("one", leasedExample),
          ...example("draining", { jobs: [], control: "quiet" }),
        }),
      },
      204: { description: "There was nothing to do." },
    },
    problems: ["unknown_type", "storage_unavailable"],
  },
  {
    ...worker,
    path: "/v1/worker/jobs/:id/output",
    id: "takeOutput",
    summary: "Write output",
    description:
      "Lines, each an item that is committed as it comes, in a body that may go on for as long as the run; or one chunk of audio, which is one item. A refusal tells the number of the first item that was not taken.",
    parameters: [
      LEASE,
      {
        name: "Holdline-Item",
        in: "header",
        description:
          "Number of the first item in this run, from 0: those that are known are passed over. Without it: the next.",
        schema: { type: "integer", minimum: 0 },
      },
    ],
    body: {
      description: "Items.",
      content: {
        "application/x-ndjson": {
          text: "Lines `{kind, data}` of `output.text`, `output.audio.format`, `output.audio` (base64 in `bytes`), `output.data` and `job.progress`.",
          examples: example("two", itemsExample),
        },
        "application/octet-stream": {
          binary: `One chunk of audio in the format announced before, ${LIMITS.audioChunkBytes} bytes at most.`,
        },
        "audio/*": { binary: "The same." },
      },
    },
    answers: {
      200: {
        description: "All of them are committed.",
        content: json("ItemsTaken", example("two", { next: 2, control })),
      },
    },
    problems: ["not_found", "lease_lost", "item_gap", "storage_unavailable"],
  },
  {
    ...worker,
    path: "/v1/worker/heartbeat",
    id: "beat",
    summary: "Say that runs go on",
    description: `Renews leases, and tells which runs have to stop. Every ${LIMITS.leaseRenewMs} ms, beside a streamed body too.`,
    body: {
      description: "The leases that are held.",
      content: json(
        "Heartbeat",
        example("one", { worker: "gpu-3", leases: [{ ...lease, progress: { ratio: 0.4 } }] }),
      ),
    },
    answers: {
      200: {
        description: "Each of them, in the same order.",
        content: json("Leases", {
          ...example("ok", { leases: [{ job: JOB_ID, status: "ok", leaseMs: LIMITS.leaseMs }], control }),
          ...example("cancel", {
            leases: [
              {
                job: JOB_ID,
                status: "cancel",
                leaseMs: LIMITS.leaseMs,
                reason: "requested",
                stopWithinMs: 9800,
              },
            ],
            control,
          }),
          ...example("lost", { leases: [{ job: JOB_ID, status: "lost" }], control }),
        }),
      },
    },
    problems: ["storage_unavailable"],
  },
  {
    ...worker,
    path: "/v1/worker/jobs/:id/complete",
    id: "completeRun",
    summary: "End a run with its result",
    parameters: [LEASE],
    body: {
      description: "Its result.",
      content: json("Complete", example("done", { result: { frames: 250 } })),
    },
    answers: ended("succeeded"),
    problems: ["not_found", "lease_lost", "storage_unavailable"],
  },
  {
    ...worker,
    path: "/v1/worker/jobs/:id/fail",
    id: "failRun",
    summary: "End a run with an error",
    parameters: [LEASE],
    body: {
      description: "What went wrong, in words for the user.",
      content: json(
        "Fail",
        example("final", { code: "out_of_memory", message: "The scene is too large.", retryable: false }),
      ),
    },
    answers: ended("failed"),
    problems: ["not_found", "lease_lost", "storage_unavailable"],
  },
  {
    ...worker,
    path: "/v1/worker/jobs/:id/release",
    id: "releaseRun",
    summary: "Give a job back",
    description: "It costs the job nothing, and somebody else may take it at once.",
    parameters: [LEASE],
    body: { description: "Nothing.", content: json("Release", example("empty", {})) },
    answers: ended("retrying"),
    problems: ["not_found", "lease_lost", "storage_unavailable"],
  },
];
