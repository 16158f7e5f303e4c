/**
 * The Redis driver of `SessionStore`: each call is one script (sessions.lua), so that it is atomic, and all keys have one
 * hash tag, so that a Cluster takes them.
 *
 * Redis may lose what it held without its connections noticing. So whoever begins with an empty store draws an epoch, and
 * each call names the one it knows: a call that would be answered from a store that was emptied is refused (`Emptied`)
 * until its node has written down what it remembers (lasting.ts).
 */
import { Refusal } from "../../protocol/error.ts";
import type { OpenedRedis } from "../../redis/connect.ts";
import type { SessionId } from "../../lib/ids.ts";
import type { SessionRecord } from "../session.ts";
import type { EnteringRefused, SessionStore } from "../store.ts";
import { bindingTexts, sessionOf, textsOf } from "./fields.ts";
import lua from "./sessions.lua" with { type: "text" };

/** The store is not the one that this process knew: it is empty, or somebody has begun anew. */
export class Emptied extends Error {
  override readonly name = "Emptied";
}

/** Who has what is being found out: nobody is told that a session is gone. Asked again in a moment, it is known. */
export class Settling extends Refusal {
  constructor() {
    super("storage_unavailable", "The sessions were lost and are being written down again.");
  }
}

export interface RedisSessionStore extends SessionStore {
  /** Takes part in the epoch there is, or begins one. Every other call rejects with Emptied before it. */
  begin(): Promise<void>;
  /**
   * Writes a session down as this process remembers it. One that ended stays ended; one that has sat down on another
   * node since is that one's; one that is gone comes back only if it may. Gives what is stored then.
   */
  restore(session: SessionRecord, mayComeBack: boolean): Promise<SessionRecord | null>;
}

/** Uses in one script, and sessions of a node that are looked at in one: Redis serves nobody else meanwhile. */
const TOUCHED_AT_ONCE = 200;
const RECOVERED_AT_ONCE = 200;
/** How long nodes have to notice that the store was emptied: each of them asks it for something once a second. */
const SETTLE_MS = 3000;

/** What Redis says while it cannot serve, as opposed to a defect of ours. */
const NOT_NOW =
  /^(?:LOADING|BUSY|OOM|READONLY|MASTERDOWN|MISCONF|NOREPLICAS|CLUSTERDOWN|TRYAGAIN|MOVED|ASK|NOAUTH|WRONGPASS|NOPERM|UNBLOCKED)\b/;

function refusalOf(error: unknown): unknown {
  const { name, message } = error as Error;
  if (name !== "ReplyError" || NOT_NOW.test(message)) {
    return new Refusal("storage_unavailable", "The sessions are out of reach.", { cause: error });
  }
  if (message.startsWith("SETTLING")) return new Settling();
  return message.startsWith("EPOCH") ? new Emptied(message) : error;
}

interface Scripted {
  holdlineSessions(base: string, ...texts: readonly string[]): Promise<unknown>;
}

export interface RedisSessionsOptions {
  readonly redis: Pick<OpenedRedis, "client">;
  /** Name of the installation. */
  readonly name: string;
  /** Like no other one. */
  readonly newEpoch: () => string;
}

/** Calls rejects with Refusal `storage_unavailable` when Redis does not answer; they may have been carried out then. */
function createCall({ redis, name, newEpoch }: RedisSessionsOptions) {
  redis.client.defineCommand("holdlineSessions", { numberOfKeys: 1, lua });
  const scripted = redis.client as unknown as Scripted;
  const base = `{holdline:${name}}:sessions`;
  let epoch = "";
  const run = async (call: string, given: readonly (string | number)[], known = epoch): Promise<unknown> => {
    try {
      return await scripted.holdlineSessions(base, call, known, ...given.map(String));
    } catch (error) {
      throw refusalOf(error);
    }
  };
  return {
    run,
    begin: async (): Promise<void> => {
      // Whoever has seen another epoch knows that something was lost.
      epoch = String(await run("begin", [epoch === "" ? 0 : SETTLE_MS], newEpoch()));
    },
  };
}

export function createRedisSessionStore(options: RedisSessionsOptions): RedisSessionStore {
  const { run, begin } = createCall(options);
  const one = async (call: string, ...given: readonly (string | number)[]): Promise<SessionRecord | null> =>
    sessionOf(await run(call, given));
  const several = async (call: string, ...given: readonly (string | number)[]): Promise<SessionRecord[]> =>
    ((await run(call, given)) as readonly unknown[]).flatMap((answer) => sessionOf(answer) ?? []);

  return {
    begin,
    restore: (session, mayComeBack) => one("restore", mayComeBack ? 1 : 0, ...textsOf(session)),
    create: async (session) => void (await run("create", textsOf(session))),
    find: (id) => one("find", id),
    findOwn: (userId, id) => one("findOwn", userId, id),
    listOf: (userId, limit) => several("page", userId, "", limit),
    page: ({ userId, before, limit }) => several("page", userId ?? "", before ?? "", limit),
    inRooms: (after, limit) => several("inRooms", after ?? "", limit),
    async count() {
      const [living = 0, online = 0] = (await run("count", [])) as readonly number[];
      return { online, away: living - online };
    },
    connected({ id, nodeId, at, binding }) {
      const texts = bindingTexts(binding);
      return one("connected", id, nodeId, at, binding === null ? 0 : 1, texts.binding, texts.allowed);
    },
    away: ({ id, nodeId, awayBy, expiresBy, at }) => one("away", id, nodeId, awayBy, expiresBy, at),
    async touch(touches) {
      const written: Promise<unknown>[] = [];
      for (let from = 0; from < touches.length; from += TOUCHED_AT_ONCE) {
        const some = touches.slice(from, from + TOUCHED_AT_ONCE);
        written.push(
          run(
            "touch",
            some.flatMap(({ id, at, expiresBy }) => [id, at, expiresBy]),
          ),
        );
      }
      await Promise.all(written);
    },
    choose: (id, presence, at) => one("choose", id, presence, at),
    async enter({ id, room, most }) {
      const answer = await run("enter", [id, room, most]);
      return typeof answer === "string" ? (answer as EnteringRefused) : sessionOf(answer);
    },
    leave: (id, room) => one("leave", id, room),
    end: async (id, at, forgetAt) => (await run("end", [id, at, forgetAt])) === 1,
    sweep: async (steadyMs, wallMs, limit) =>
      (await run("sweep", [steadyMs, wallMs, limit])) as readonly SessionId[],
    async recover({ nodeId, awayBy, expiresBy, at }) {
      let after: unknown = "";
      while (typeof after === "string") {
        after = await run("recover", [nodeId, awayBy, expiresBy, at, after, RECOVERED_AT_ONCE]);
      }
    },
  };
}
