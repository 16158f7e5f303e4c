/** The published schemas say what the interfaces say: the compiler compares them, and the run compares their names. */
import { describe, expect, test } from "bun:test";
import type { z } from "zod";
import type {
  AdminJobObject,
  NodeObject,
  ScheduleObject,
  Page,
  PushedObject,
} from "../../src/protocol/admin.ts";
import type { EventData, EventKind } from "../../src/protocol/events.ts";
import type { AttachedFrame, EventFrame, ServerFrame, WelcomeFrame } from "../../src/protocol/frames.ts";
import type { RoomMember } from "../../src/protocol/rooms.ts";
import type {
  EventObject,
  EventsPage,
  JobErrorBody,
  JobObject,
  OutputObject,
  TypeObject,
} from "../../src/protocol/jobs.ts";
import type * as objects from "../../src/protocol/objects.ts";
import type {
  PublishedLimits,
  SessionCreated,
  SessionObject,
  TokenObject,
} from "../../src/protocol/sessions.ts";
import type { serverFrameSchemas } from "../../src/http/documents/server-frames.ts";

/** The same type without `readonly`, which JSON Schema cannot say. */
type Plain<T> = T extends readonly (infer Item)[]
  ? Plain<Item>[]
  : T extends object
    ? { -readonly [Key in keyof T]: Plain<T[Key]> }
    : T;
type Same<A, B> =
  (<T>() => T extends Plain<A> ? 1 : 2) extends <T>() => T extends Plain<B> ? 1 : 2 ? true : false;
/** Compiles only where both types are one. */
function same<A, B>(verdict: Same<A, B>): boolean {
  return verdict;
}
type Of<Schema extends z.ZodType> = z.infer<Schema>;
type FrameOf<Type extends ServerFrame["type"]> = Of<(typeof serverFrameSchemas)[Type]>;
type Named<Type extends ServerFrame["type"]> = Extract<ServerFrame, { readonly type: Type }>;

describe("the schema of", () => {
  test("every object over HTTP is its interface, optional fields included", () => {
    const verdicts = [
      same<Of<typeof objects.jobSchema>, JobObject>(true),
      same<Of<typeof objects.jobErrorSchema>, JobErrorBody>(true),
      same<Of<typeof objects.eventSchema>, EventObject>(true),
      same<Of<typeof objects.eventsPageSchema>, EventsPage>(true),
      same<Of<typeof objects.outputSchema>, OutputObject>(true),
      same<Of<typeof objects.jobTypeSchema>, TypeObject>(true),
      same<Of<typeof objects.sessionSchema>, SessionObject>(true),
      same<Of<typeof objects.tokenSchema>, TokenObject>(true),
      same<Of<typeof objects.limitsSchema>, PublishedLimits>(true),
      same<Of<typeof objects.sessionCreatedSchema>, SessionCreated>(true),
      same<Of<typeof objects.adminJobSchema>, AdminJobObject>(true),
      same<Of<typeof objects.adminJobsPageSchema>, Page<AdminJobObject>>(true),
      same<Of<typeof objects.sessionsPageSchema>, Page<SessionObject>>(true),
      same<Of<typeof objects.nodeSchema>, NodeObject>(true),
      same<Of<typeof objects.scheduleSchema>, ScheduleObject>(true),
      same<Of<typeof objects.pushedSchema>, PushedObject>(true),
    ];
    expect(verdicts).not.toContain(false);
  });

  test("every kind of entry is its interface", () => {
    type Schemas = typeof objects.eventDataSchemas;
    const verdict = same<{ [Kind in EventKind]: Of<Schemas[Kind]> }, EventData>(true);
    expect(verdict).toBe(true);
  });

  test("every frame of the server is its interface", () => {
    const verdicts = [
      same<FrameOf<"welcome">, WelcomeFrame>(true),
      same<FrameOf<"event">, EventFrame>(true),
      same<FrameOf<"attached">, AttachedFrame>(true),
      same<FrameOf<"message">, Named<"message">>(true),
      same<FrameOf<"history">, Named<"history">>(true),
      same<FrameOf<"presence">, Named<"presence">>(true),
      same<FrameOf<"presence">["joined"], readonly RoomMember[]>(true),
      same<FrameOf<"token">, Named<"token">>(true),
      same<FrameOf<"ping">, Named<"ping">>(true),
      same<FrameOf<"ok">, Named<"ok">>(true),
      same<FrameOf<"error">, Named<"error">>(true),
      same<FrameOf<"goodbye">, Named<"goodbye">>(true),
      same<keyof typeof serverFrameSchemas, ServerFrame["type"]>(true),
    ];
    expect(verdicts).not.toContain(false);
  });
});
