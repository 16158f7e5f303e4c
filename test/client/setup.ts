/** A client under a manual clock in front of a scripted server: how every test of the client begins. */
import { createClient, type Client, type ClientOptions } from "../../src/client/client.ts";
import type { ConnectionState } from "../../src/client/connection.ts";
import type { JobHandle } from "../../src/client/handle.ts";
import type { ClientStorage } from "../../src/client/memory.ts";
import type { SubmitBody } from "../../src/protocol/jobs.ts";
import { createManualClock, type ManualClock } from "./manual-clock.ts";
import { jobObject, type Peer, type ScriptedServer, startScriptedServer } from "./scripted-server.ts";

export interface Scene {
  readonly server: ScriptedServer;
  readonly clock: ManualClock;
  readonly client: Client;
  readonly storage: ClientStorage;
  /** Resolves when the client is in this phase: at once when it is. */
  phase<Phase extends ConnectionState["phase"]>(
    phase: Phase,
  ): Promise<Extract<ConnectionState, { phase: Phase }>>;
  /** The first socket, welcomed, with the client online. */
  online(): Promise<Peer>;
  /** Waits out the back-off after a loss; the next socket, not welcomed yet. */
  reconnect(): Promise<Peer>;
  [Symbol.asyncDispose](): Promise<void>;
}

export const BODY: SubmitBody = { type: "chat", input: { messages: [{ role: "user", content: "Hello" }] } };

/** `random` is 0.5 throughout, so that every wait is known. */
export function createScene(options: Partial<ClientOptions> = {}): Scene {
  const server = startScriptedServer();
  const clock = createManualClock();
  const storage = options.storage ?? createMapStorage();
  const client = createClient({ url: server.url, clock, storage, random: () => 0.5, ...options });

  function phase<Phase extends ConnectionState["phase"]>(
    wanted: Phase,
  ): Promise<Extract<ConnectionState, { phase: Phase }>> {
    return new Promise((resolve) => {
      const look = (state: ConnectionState): boolean => {
        if (state.phase !== wanted) return false;
        stop();
        resolve(state as Extract<ConnectionState, { phase: Phase }>);
        return true;
      };
      const stop = client.on("state", look);
      look(client.state);
    });
  }
  return {
    server,
    clock,
    client,
    storage,
    phase,
    async online() {
      client.connect();
      const peer = await server.connection();
      peer.welcome();
      await phase("online");
      return peer;
    },
    async reconnect() {
      const { retryAtMs } = await phase("offline");
      clock.advance(retryAtMs - clock.steadyMs());
      return server.connection();
    },
    async [Symbol.asyncDispose]() {
      client.close();
      await server.stop();
    },
  };
}

export function createMapStorage(): ClientStorage {
  const values = new Map<string, string>();
  return {
    getItem: (key) => values.get(key) ?? null,
    setItem: (key, value) => void values.set(key, value),
    removeItem: (key) => void values.delete(key),
  };
}

/** Answers the next request with 202 and this job. */
export async function acceptNext(server: ScriptedServer, id?: string): Promise<Request> {
  const { request, respond } = await server.requests.take();
  respond(Response.json(jobObject(id), { status: 202 }));
  return request;
}

/** Resolves when the handle has been given entry `seq`. */
export function reaches(job: JobHandle, seq: number): Promise<void> {
  return new Promise((resolve) => {
    if (job.cursor >= seq) resolve();
    else job.on("event", () => job.cursor >= seq && resolve());
  });
}

/** What a promise is rejected with; one that is fulfilled fails the test. */
export function failure(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    (value) => {
      throw new Error(`expected a failure, got ${JSON.stringify(value)}`);
    },
    (error: unknown) => error,
  );
}
