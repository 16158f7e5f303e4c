/** Sockets in front of a gate and sessions of the test's own. */
import type { ServerWebSocket } from "bun";
import type { Hub } from "../../src/hub/hub.ts";
import type { Requests } from "../../src/hub/requests.ts";
import type { Rates } from "../../src/http/rates.ts";
import type { SessionId } from "../../src/lib/ids.ts";
import type { Gate } from "../../src/sessions/gate.ts";
import type { Sessions } from "../../src/sessions/sessions.ts";
import { createSockets, type SocketData } from "../../src/ws/sockets.ts";
import { recordingLogger } from "../handlers/run-setup.ts";
import type { VirtualClock } from "../handlers/virtual-clock.ts";
import { createFakeSocket, type FakeSocket } from "../hub/fake-socket.ts";
import { createSetup } from "../hub/setup.ts";

export interface Edge {
  readonly hub: Hub;
  readonly clock: VirtualClock;
  /** Sessions that were left. */
  readonly left: readonly SessionId[];
  readonly open: () => FakeSocket;
  /** Its client has gone. */
  readonly close: (socket: FakeSocket) => void;
}

export function createEdge(gate: Partial<Gate>, sessions: Partial<Sessions> = {}): Edge {
  const { hub, clock, store, left } = createSetup();
  const draws = [0, 0.5, 0.999];
  const { handlers } = createSockets({
    hub,
    requests: { createInbox: () => ({}), resume: () => undefined } as unknown as Requests,
    sessions: sessions as Sessions,
    gate: gate as Gate,
    rates: { countFailure: () => undefined } as unknown as Rates,
    store,
    clock,
    random: () => draws.shift() ?? 0.5,
    logger: recordingLogger().logger,
    nodeId: "node",
    limits: {} as never,
    rooms: {} as never,
    heartbeat: { pingMs: 1, timeoutMs: 1 },
    refusing: () => false,
    withoutStorage: () => false,
  });
  const real = (socket: FakeSocket) => socket as unknown as ServerWebSocket<SocketData>;
  return {
    hub,
    clock,
    left,
    open() {
      const offer = {} as SocketData["offer"];
      const socket = Object.assign(createFakeSocket(), { data: { offer, address: "", seat: null } });
      void handlers.open?.(real(socket));
      return socket;
    },
    close: (socket) => void handlers.close?.(real(socket), 1006, ""),
  };
}
