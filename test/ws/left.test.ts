import { expect, test } from "bun:test";
import type { SessionId, UserId } from "../../src/lib/ids.ts";
import type { Entry } from "../../src/sessions/gate.ts";
import type { SessionRecord } from "../../src/sessions/session.ts";
import { settle } from "../handlers/virtual-clock.ts";
import { createFakeSocket } from "../hub/fake-socket.ts";
import { createEdge } from "./setup.ts";

const resumes = { id: "session" as SessionId, userId: "user" as UserId } as SessionRecord;

test("one that left before it was known who it is takes nobody's seat", async () => {
  const entered = Promise.withResolvers<Entry>();
  const edge = createEdge({ enter: () => entered.promise });
  const socket = edge.open();
  const seated = edge.hub.add(createFakeSocket());
  edge.hub.seat(seated, resumes);
  edge.close(socket);
  entered.resolve({ user: null, resumes });
  await settle();
  expect(edge.hub.connectionOf(resumes.id)).toBe(seated);
  expect(seated.closed).toBe(false);
});
