/** `/v1/admin` in words: what an operator's token opens. */
import { LIMITS } from "../../protocol/limits.ts";
import { JOB_STATUSES } from "../../protocol/jobs.ts";
import { example, intQuery, json, type Described } from "./describe.ts";
import {
  adminJobExample,
  canceledJob,
  nodeExample,
  pushedExample,
  pushExample,
  queuedJob,
  scheduleExample,
  sessionExample,
  workerExample,
} from "./examples.ts";
import type { Parameter } from "./shape.ts";

const { userId, sessionId } = adminJobExample;
const owner = { userId, ...(sessionId === undefined ? {} : { sessionId }) };

const page: readonly Parameter[] = [
  { name: "userId", in: "query", description: "Only those of this user.", schema: { type: "string" } },
  { name: "cursor", in: "query", description: "`next` of the page before.", schema: { type: "string" } },
  intQuery("limit", "Items of one page.", {
    minimum: 1,
    maximum: LIMITS.jobsPage,
    default: LIMITS.jobsPageDefault,
  }),
];

const admin = { tag: "Operators", credential: "admin" } as const;

export const ADMIN_OPERATIONS: readonly Described[] = [
  {
    ...admin,
    method: "GET",
    path: "/v1/admin/nodes",
    id: "listNodes",
    summary: "List the processes of this installation",
    answers: {
      200: { description: "All of them.", content: json("Nodes", example("one", { items: [nodeExample] })) },
    },
    problems: [],
  },
  {
    ...admin,
    method: "GET",
    path: "/v1/admin/workers",
    id: "listWorkers",
    summary: "List remote workers that were heard of lately",
    description:
      "As this process knows them, heard last first: a worker is forgotten 10 minutes after its last call.",
    answers: {
      200: {
        description: "All of them.",
        content: json("Workers", example("one", { items: [workerExample] })),
      },
    },
    problems: [],
  },
  {
    ...admin,
    method: "GET",
    path: "/v1/admin/schedules",
    id: "listSchedules",
    summary: "List the schedules",
    answers: {
      200: {
        description: "All that are configured, with the next tick of each.",
        content: json("Schedules", example("one", { items: [scheduleExample] })),
      },
    },
    problems: [],
  },
  {
    ...admin,
    method: "GET",
    path: "/v1/admin/sessions",
    id: "listAllSessions",
    summary: "List everybody's sessions",
    parameters: page,
    answers: {
      200: {
        description: "A page of those that are not over, newest first.",
        content: json("SessionsPage", example("one", { items: [sessionExample], next: null })),
      },
    },
    problems: ["invalid_request", "invalid_cursor"],
  },
  {
    ...admin,
    method: "GET",
    path: "/v1/admin/jobs",
    id: "listAllJobs",
    summary: "List everybody's jobs",
    parameters: [
      {
        name: "status",
        in: "query",
        description: "Only jobs of this status.",
        schema: { type: "string", enum: JOB_STATUSES },
      },
      { name: "type", in: "query", description: "Only jobs of this type.", schema: { type: "string" } },
      ...page,
    ],
    answers: {
      200: {
        description: "A page of jobs, newest first.",
        content: json("AdminJobsPage", example("one", { items: [adminJobExample], next: null })),
      },
    },
    problems: ["invalid_request", "invalid_cursor"],
  },
  {
    ...admin,
    method: "GET",
    path: "/v1/admin/jobs/:id",
    id: "readAnyJob",
    summary: "Read anybody's job",
    answers: { 200: { description: "The job.", content: json("AdminJob", example("one", adminJobExample)) } },
    problems: ["not_found", "job_purged"],
  },
  {
    ...admin,
    method: "POST",
    path: "/v1/admin/jobs/:id/cancel",
    id: "cancelAnyJob",
    summary: "Cancel anybody's job",
    answers: {
      200: {
        description: "It has ended, by this or before.",
        content: json("AdminJob", example("canceled", { ...canceledJob, ...owner })),
      },
      202: {
        description: "Its run is being stopped.",
        content: json(
          "AdminJob",
          example("canceling", { ...queuedJob, ...owner, status: "canceling", attempt: 1 }),
        ),
      },
    },
    problems: ["not_found", "job_purged", "storage_unavailable"],
  },
  {
    ...admin,
    method: "POST",
    path: "/v1/admin/jobs/:id/retry",
    id: "retryAnyJob",
    summary: "Run anybody's ended job once more",
    description: "A new job of the same user, without a session.",
    answers: {
      202: {
        description: "The new job.",
        headers: ["Location", "Retry-After"],
        content: json("AdminJob", example("queued", { ...queuedJob, userId })),
      },
    },
    problems: [
      "not_found",
      "job_purged",
      "job_not_terminal",
      "too_many_jobs",
      "queue_full",
      "draining",
      "storage_unavailable",
    ],
  },
  {
    ...admin,
    method: "POST",
    path: "/v1/admin/revocations",
    id: "revoke",
    summary: "Revoke a user, a session or a token",
    description: "Exactly one of the three. Sessions that it hits are closed with 4502.",
    body: {
      description: "What is to be revoked.",
      content: json("Revocation", example("user", { userId })),
    },
    answers: { 204: { description: "It is stored, and what it hits is over." } },
    problems: ["not_found", "storage_unavailable"],
  },
  {
    ...admin,
    method: "POST",
    path: "/v1/admin/push",
    id: "push",
    summary: "Send a message to open sockets",
    description: "To one user, one session, one room, or all: exactly one of them. It is stored nowhere.",
    body: { description: "To whom, and what.", content: json("Push", example("user", pushExample)) },
    answers: {
      202: { description: "It was handed on.", content: json("Pushed", example("two", pushedExample)) },
    },
    problems: [],
  },
  {
    ...admin,
    method: "POST",
    path: "/v1/admin/drain",
    id: "drain",
    summary: "Shut the server down in order",
    description: "As SIGTERM does: no new work, runs finish or are released, sockets are told to come back.",
    answers: {
      202: {
        description: "It begins.",
        content: json("Draining", example("draining", { status: "draining" })),
      },
    },
    problems: [],
  },
];
