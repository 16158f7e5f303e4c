/** The contracts of sessions, of machine tokens and of the history of rooms on PostgreSQL. */
import { afterAll } from "bun:test";
import { describeRoomHistory } from "../conformance/room-history.ts";
import { describeMachineTokens } from "../conformance/machine-tokens.ts";
import { describeSessionStore } from "../conformance/session-store.ts";
import { sharePostgres } from "./storage.ts";

const shared = sharePostgres();
afterAll(() => shared.end());

describeSessionStore("PostgreSQL", () => shared.openSessions());

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
