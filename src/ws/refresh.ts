/** `refresh`: a socket's session moves on to a fresh user token, without a reconnect (PROTOCOL sections 2 and 5). */
import type { Connection } from "../hub/connection.ts";
import type { Hub } from "../hub/hub.ts";
import type { Rooms } from "../hub/rooms/rooms.ts";
import { Refusal } from "../protocol/error.ts";
import type { Gate } from "../sessions/gate.ts";
import type { Sessions } from "../sessions/sessions.ts";

export interface RefreshParts {
  readonly gate: Gate;
  readonly sessions: Sessions;
  readonly hub: Hub;
  readonly rooms: Rooms;
}

/** Binds the connection's session to the token, tells which rooms it no longer allows, and sends the session token that follows from it. Rejects with the 401 that fits. */
export function createRefresh({ gate, sessions, hub, rooms }: RefreshParts) {
  return async (connection: Connection, token: string): Promise<void> => {
    const { sessionId, userId } = connection;
    if (sessionId === null || userId === null) return;
    try {
      const { binding } = await gate.refresh(userId, token);
      const session = await rooms.telling(connection, () => sessions.connected(sessionId, binding));
      const fresh = await sessions.issueToken(session);
      hub.holds(connection, fresh, binding.expiresAt);
      connection.send({ type: "token", ...fresh });
    } catch (error) {
      // Another user's token: somebody else took over this page.
      if (error instanceof Refusal && error.code === "token_revoked") connection.close("revoked");
      throw error;
    }
  };
}
