/** The zod schemas of the protocol as JSON Schema 2020-12, under the names that both documents refer to. */
import { z } from "zod";
import { pushSchema, revocationSchema } from "../../protocol/admin.ts";
import { isTerminalKind, type EventKind } from "../../protocol/events.ts";
import { clientFrameSchema, type ClientFrame } from "../../protocol/frames.ts";
import { submitSchema } from "../../protocol/jobs.ts";
import { LIMITS } from "../../protocol/limits.ts";
import { roomMessageSchema } from "../../protocol/rooms.ts";
import * as objects from "../../protocol/objects.ts";
import {
  presenceListSchema,
  roomMemberSchema,
  serverFrameSchemas,
  welcomeJobSchema,
} from "./server-frames.ts";
import * as workers from "../../protocol/workers.ts";
import type { Schema } from "./shape.ts";

/** Schemas by the name they have under `#/components/schemas`. */
const NAMED = {
  Submit: submitSchema,
  Job: objects.jobSchema,
  JobError: objects.jobErrorSchema,
  JobsPage: objects.jobsPageSchema,
  Event: objects.eventSchema,
  EventsPage: objects.eventsPageSchema,
  Output: objects.outputSchema,
  Webhook: objects.webhookSchema,
  JobType: objects.jobTypeSchema,
  JobTypes: objects.jobTypesSchema,
  Session: objects.sessionSchema,
  Sessions: objects.sessionsSchema,
  SessionCreated: objects.sessionCreatedSchema,
  Token: objects.tokenSchema,
  Limits: objects.limitsSchema,
  Problem: objects.problemSchema,
  FieldError: objects.fieldErrorSchema,
  AdminJob: objects.adminJobSchema,
  AdminJobsPage: objects.adminJobsPageSchema,
  SessionsPage: objects.sessionsPageSchema,
  Node: objects.nodeSchema,
  Nodes: objects.nodesSchema,
  Lease: workers.leaseBodySchema,
  Leased: workers.leasedSchema,
  LeasedJob: workers.leasedJobSchema,
  ItemsTaken: workers.itemsTakenSchema,
  Heartbeat: workers.heartbeatBodySchema,
  Leases: workers.heartbeatSchema,
  LeaseState: workers.leaseStateSchema,
  Complete: workers.completeBodySchema,
  Fail: workers.failBodySchema,
  Release: workers.releaseBodySchema,
  RunEnded: workers.runEndedSchema,
  Worker: workers.workerSchema,
  Workers: workers.workersSchema,
  Schedule: objects.scheduleSchema,
  Schedules: objects.schedulesSchema,
  Revocation: revocationSchema,
  Push: pushSchema,
  Pushed: objects.pushedSchema,
  Draining: objects.drainingSchema,
  Live: objects.liveSchema,
  Ready: objects.readySchema,
  RoomMember: roomMemberSchema,
  Presence: presenceListSchema,
  RoomMessage: roomMessageSchema,
  Said: objects.saidSchema,
  WelcomeJob: welcomeJobSchema,
} as const satisfies Readonly<Record<string, z.ZodType>>;

export type SchemaName = keyof typeof NAMED;
export type ClientFrameType = ClientFrame["type"];
export type ServerFrameType = keyof typeof serverFrameSchemas;

/** Kinds that travel over a socket as binary frames and in no other form. */
const BINARY_ONLY: readonly EventKind[] = ["output.audio"];

export interface PublishedSchemas {
  /** For `#/components/schemas`. */
  readonly named: Readonly<Record<SchemaName, Schema>>;
  readonly clientFrames: Readonly<Record<ClientFrameType, Schema>>;
  readonly serverFrames: Readonly<Record<ServerFrameType, Schema>>;
}

/** A pointer to a named schema. */
export function schemaRef(name: SchemaName): Schema {
  return { $ref: `#/components/schemas/${name}` };
}

/** Members that say nothing: what zod adds for its own reasons, and bounds that every JSON number keeps. */
function isNoise(key: string, value: unknown, schema: object): boolean {
  // The format says it in one word.
  if (key === "pattern" && "format" in schema) return true;
  if (key === "$schema" || key === "$id" || key === "$defs") return true;
  if (key === "maximum" || key === "minimum") return Math.abs(Number(value)) === Number.MAX_SAFE_INTEGER;
  return key === "propertyNames" && JSON.stringify(value) === '{"type":"string"}';
}

function clean(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(clean);
  if (typeof value !== "object" || value === null) return value;
  // The only schemas of ours that recur are those of z.json().
  if ("$ref" in value && String(value.$ref).includes("$defs/")) return { description: "Any JSON value." };
  if ("not" in value) return false;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key, member]) => !isNoise(key, member, value))
      .map(([key, member]) => [key, clean(member)]),
  );
}

/** The schema of an entry, with `data` as each kind has it. */
function withKinds(
  schema: Schema,
  data: Readonly<Record<string, Schema>>,
  left: readonly EventKind[],
): Schema {
  const kinds = (Object.keys(objects.eventDataSchemas) as EventKind[]).filter((kind) => !left.includes(kind));
  return {
    ...schema,
    properties: {
      ...schema.properties,
      kind: { type: "string", enum: kinds },
      data: { description: "What the kind says." },
    },
    oneOf: kinds.map((kind) => ({
      title: kind,
      properties: { kind: { const: kind }, data: data[kind] ?? {} },
      required: isTerminalKind(kind) ? ["terminal"] : [],
    })),
  };
}

/**
 * Defaults that the server fills in for every type, and a bound that a refinement holds. `timeoutMs` and `maxAttempts`
 * have none here: a type may have its own.
 */
const SUBMIT_FACTS: Readonly<Record<string, Schema>> = {
  metadata: { maxProperties: LIMITS.metadataPairs, default: {} },
  priority: { default: LIMITS.priorityDefault },
  retryAfterOutput: { default: true },
  onDisconnect: { default: "continue" },
  orphanMs: { default: LIMITS.orphanDefaultMs },
};

function withFacts(schema: Schema, facts: Readonly<Record<string, Schema>>): Schema {
  const properties = Object.entries(schema.properties ?? {}).map(
    ([name, property]) => [name, { ...property, ...facts[name] }] as const,
  );
  return { ...schema, properties: Object.fromEntries(properties) };
}

/** Converts everything; the caller keeps the result. */
export function publishSchemas(): PublishedSchemas {
  const registry = z.registry<{ id: string }>();
  const add = (prefix: string, schemas: Readonly<Record<string, z.ZodType>>): void => {
    for (const [name, schema] of Object.entries(schemas)) registry.add(schema, { id: `${prefix}${name}` });
  };
  add("", NAMED);
  add("data:", objects.eventDataSchemas);
  add("server:", serverFrameSchemas);
  for (const schema of clientFrameSchema.options) {
    registry.add(schema, { id: `client:${schema.shape.type.value}` });
  }
  // As input: an object that is not strict takes more than it names, and so should whoever reads our answers.
  const converted = z.toJSONSchema(registry, {
    target: "draft-2020-12",
    io: "input",
    uri: (id) => `#/components/schemas/${id}`,
  });
  const all = Object.entries(clean(converted.schemas) as Readonly<Record<string, Schema>>);
  const under = (prefix: string): Record<string, Schema> =>
    Object.fromEntries(
      all.flatMap(([id, schema]) => (id.startsWith(prefix) ? [[id.slice(prefix.length), schema]] : [])),
    );
  const data = under("data:");
  const named = Object.fromEntries(all.filter(([id]) => id in NAMED)) as Record<SchemaName, Schema>;
  const serverFrames = under("server:") as Record<ServerFrameType, Schema>;
  return {
    named: {
      ...named,
      Submit: withFacts(named.Submit, SUBMIT_FACTS),
      Event: withKinds(named.Event, data, []),
    },
    clientFrames: under("client:") as Record<ClientFrameType, Schema>,
    serverFrames: { ...serverFrames, event: withKinds(serverFrames.event, data, BINARY_ONLY) },
  };
}
