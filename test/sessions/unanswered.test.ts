/** A store that carries a change out and does not say so in time: nobody has a socket there for ever. */
import { expect, test } from "bun:test";
import { Refusal } from "../../src/protocol/error.ts";
import type { SessionRecord } from "../../src/sessions/session.ts";
import { failureOf } from "../conformance/failure.ts";
import { createShared, pass, startNode } from "../hub/nodes.ts";

test("a session whose store gave no answer when it was made is not online without a socket, and ends", async () => {
  const shared = createShared();
  const create = shared.sessions.create.bind(shared.sessions);
  Object.assign(shared.sessions, {
    async create(session: SessionRecord) {
      await create(session);
      throw new Refusal("storage_unavailable", "no answer");
    },
  });
  const node = await startNode(shared, "here");
  await node.begin();
  expect(await failureOf(node.sessions.open(null, { connected: true }))).toBeInstanceOf(Refusal);
  expect(await shared.sessions.count()).toEqual({ online: 1, away: 0 });
  await pass(shared, 2000);
  expect(await shared.sessions.count()).toEqual({ online: 0, away: 1 });
  await pass(shared, 62_000);
  expect(await shared.sessions.count()).toEqual({ online: 0, away: 0 });
  await node.stop();
});
