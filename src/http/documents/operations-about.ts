/** What the server says about itself, in words. None of it needs a credential. */
import { example, json, type Described } from "./describe.ts";

const about = { method: "GET", tag: "About", credential: "none" } as const;

const METRICS = `# HELP holdline_jobs_accepted_total Jobs that were accepted and stored.
# TYPE holdline_jobs_accepted_total counter
holdline_jobs_accepted_total{type="chat"} 3
`;

export const ABOUT_OPERATIONS: readonly Described[] = [
  {
    ...about,
    path: "/healthz",
    id: "live",
    summary: "The process answers",
    answers: { 200: { description: "It does.", content: json("Live", example("live", { status: "ok" })) } },
    problems: [],
  },
  {
    ...about,
    path: "/readyz",
    id: "ready",
    summary: "The server takes work",
    description:
      "The storage was asked to write within the last second, and nobody told the server to stop. `degraded`: the disk is low or full, and submits are refused with `storage_unavailable`; or (`backplane`) some node is not heard, and what it does shows up to 2 s later. Everything else goes on.",
    answers: {
      200: {
        description: "It does.",
        content: json("Ready", {
          ...example("ready", { status: "ready" }),
          ...example("degraded", { status: "degraded", disk: "low" }),
          ...example("unheard", { status: "degraded", backplane: "unhealthy" }),
        }),
      },
    },
    problems: ["draining", "storage_unavailable"],
  },
  {
    ...about,
    path: "/metrics",
    id: "metrics",
    summary: "Metrics for Prometheus",
    description: "Open in open mode; an admin token everywhere else.",
    answers: {
      200: {
        description: "The text format, version 0.0.4.",
        content: { "text/plain": { text: "Families of samples.", examples: example("jobs", METRICS) } },
      },
    },
    problems: ["unauthenticated", "forbidden"],
  },
  {
    ...about,
    path: "/openapi.json",
    id: "openapi",
    summary: "The HTTP API by machine",
    answers: {
      200: {
        description: "An OpenAPI 3.1 document.",
        headers: ["ETag"],
        content: { "application/json": { text: "This document." } },
      },
      304: { description: "It is as it was.", headers: ["ETag"] },
    },
    problems: [],
  },
  {
    ...about,
    path: "/asyncapi.json",
    id: "asyncapi",
    summary: "The socket by machine",
    answers: {
      200: {
        description: "An AsyncAPI 3.0 document.",
        headers: ["ETag"],
        content: { "application/json": { text: "Frames both ways, the binary frame, close codes." } },
      },
      304: { description: "It is as it was.", headers: ["ETag"] },
    },
    problems: [],
  },
  {
    ...about,
    path: "/docs",
    id: "docs",
    summary: "Both documents to be read by people",
    answers: {
      200: {
        description: "A page without scripts.",
        headers: ["ETag"],
        content: { "text/html": { text: "HTML." } },
      },
      304: { description: "It is as it was.", headers: ["ETag"] },
    },
    problems: [],
  },
  {
    ...about,
    path: "/docs/reference.css",
    id: "docsStyle",
    summary: "How that page looks",
    answers: {
      200: { description: "Its stylesheet.", headers: ["ETag"], content: { "text/css": { text: "CSS." } } },
      304: { description: "It is as it was.", headers: ["ETag"] },
    },
    problems: [],
  },
];
