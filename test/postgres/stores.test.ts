/** The contracts of sessions, of revocations, of machine tokens and of the history of rooms on PostgreSQL. */
import { afterAll } from "bun:test";
import { describeRoomHistory } from "../conformance/room-history.ts";
import { describeMachineTokens } from "../conformance/machine-tokens.ts";
import { describeRevocationStore } from "../conformance/revocation-store.ts";
import { describeSessionStore } from "../conformance/session-store.ts";
import { emptyRevocations } from "../conformance/storages.ts";
import { sharePostgres } from "./storage.ts";

const shared = sharePostgres();
afterAll(() => shared.end());

describeSessionStore("PostgreSQL", () => shared.openSessions());

describeRevocationStore("PostgreSQL", async () => emptyRevocations((await shared.storage()).revocations));

describeRoomHistory("PostgreSQL", async () => {
  const { roomHistory } = await shared.storage();
  return {
    history: roomHistory,
    close: async () => void (await roomHistory.sweep(Number.MAX_SAFE_INTEGER, 1_000_000)),
  };
});

describeMachineTokens("PostgreSQL", async () => {
  const { machineTokens } = await shared.storage();
  const close = async (): Promise<void> => {
    for (const { id } of await machineTokens.list()) await machineTokens.remove(id);
  };
  return { store: machineTokens, beside: machineTokens, close };
});
