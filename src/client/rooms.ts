/**
 * Rooms as the application sees them: entered once, and entered again automatically whenever the session is new; the list
 * of members is put together from what the server sends.
 */
import type { Json } from "../protocol/events.ts";
import type { MessageFrame, PresenceFrame, WelcomeFrame } from "../protocol/frames.ts";
import type { RoomMember } from "../protocol/rooms.ts";
import { backoffMs } from "./backoff.ts";
import type { ClientClock, ClientTimer } from "./clock.ts";
import { createEmitter } from "./emitter.ts";
import { ClientError } from "./errors.ts";
import type { Answer, Ask, Requests } from "./requests.ts";

export interface JoinOptions {
  /**
   * Also delivers messages that the room keeps: all of them at first, those that were missed after a reconnect. Makes no
   * difference in a room that keeps none.
   */
  readonly history?: boolean;
}

export interface RoomListeners {
  message: MessageFrame;
  /** Messages may be missing before the next one: the room no longer keeps the last one received here. */
  gap: { readonly after: string };
  /** Who came, left or changed. `members` is already up to date. */
  presence: PresenceFrame;
  /** No longer a member, and will not rejoin automatically: it left, or is not allowed here. */
  ended: ClientError;
}

export interface RoomHandle {
  readonly room: string;
  /** Resolves when this client is a member for the first time; rejects if it ended before that. */
  readonly joined: Promise<void>;
  /** By session, in the order in which they joined. Empty in a room too large to be listed: see `count`. */
  readonly members: ReadonlyMap<string, RoomMember>;
  readonly count: number;
  /** Sends a message to everybody in the room, this client included. Resolves when the server has accepted it. */
  say(data: Json): Promise<void>;
  /** Leaves the room, on the next connection if there is none now. Messages stop at once. */
  leave(): Promise<void>;
  on<Name extends keyof RoomListeners>(
    name: Name,
    listener: (value: RoomListeners[Name]) => void,
  ): () => void;
}

export interface RoomsOptions {
  readonly clock: ClientClock;
  readonly random: () => number;
  readonly requests: Requests;
  /** Sends a frame; fulfilled when the server says ok. */
  readonly request: (frame: Ask) => Promise<void>;
  readonly sessionId: () => string | null;
}

export interface Rooms {
  /** The handle of the room; the same one, with the options it began with, as long as it has not ended. */
  join(room: string, how: JoinOptions): RoomHandle;
  /** There is a connection again: rooms that its session is not in are entered. */
  online(welcome: WelcomeFrame): void;
  offline(): void;
  message(frame: MessageFrame): void;
  presence(frame: PresenceFrame): void;
}

interface LiveRoom {
  readonly handle: RoomHandle;
  /** Enters it unless the session is in it, as `rooms` of the welcome say. */
  online(rooms: readonly string[]): void;
  offline(): void;
  message(frame: MessageFrame): void;
  presence(frame: PresenceFrame): void;
}

interface RoomOptions extends RoomsOptions {
  readonly history: boolean;
  readonly leave: (room: string) => Promise<void>;
  readonly onEnded: () => void;
}

function createRoom(room: string, options: RoomOptions): LiveRoom {
  const { clock, random, requests, request } = options;
  const emitter = createEmitter<RoomListeners>();
  const joined = Promise.withResolvers<void>();
  // Whoever does not ask for it need not hear that it was refused: `ended` says so too.
  joined.promise.catch(() => undefined);
  const members = new Map<string, RoomMember>();
  let count = 0;
  /** Id of the last message; null when the history of the room is not asked for. */
  let cursor = options.history ? "" : null;
  /** Until the history is answered: what comes meanwhile comes again behind it. */
  let catchingUp = options.history;
  let failures = 0;
  let ended = false;
  let timer: ClientTimer | null = null;

  function end(error: ClientError): void {
    if (ended) return;
    ended = true;
    timer?.cancel();
    members.clear();
    count = 0;
    joined.reject(error);
    options.onEnded();
    emitter.emit("ended", error);
  }
  function answered(answer: Answer): void {
    if (ended || answer === null) return;
    if (answer.type !== "error") {
      failures = 0;
      catchingUp = false;
      if (answer.type === "history" && answer.reason === "trimmed")
        emitter.emit("gap", { after: answer.after });
      joined.resolve();
    } else if (answer.retryable) {
      failures += 1;
      timer = clock.after(backoffMs(failures, random), enter);
    } else end(new ClientError(answer.code, answer.detail));
  }
  function enter(): void {
    timer?.cancel();
    timer = null;
    requests.ask({ type: "join", room, ...(cursor === null ? {} : { after: cursor }) }, answered);
  }

  return {
    handle: {
      room,
      joined: joined.promise,
      members,
      get count() {
        return count;
      },
      say: (data) => request({ type: "say", room, data }),
      async leave() {
        end(new ClientError("left", "The room was left."));
        await options.leave(room);
      },
      on: (name, listener) => emitter.on(name, listener),
    },
    online(rooms) {
      if (rooms.includes(room) && cursor === null) joined.resolve();
      else enter();
    },
    offline() {
      timer?.cancel();
      timer = null;
      catchingUp = cursor !== null;
    },
    message(frame) {
      if (catchingUp) return;
      if (cursor !== null) cursor = frame.id;
      emitter.emit("message", frame);
    },
    presence(frame) {
      if (frame.whole === true || frame.joined.length + frame.left.length + frame.changed.length === 0)
        members.clear();
      for (const member of [...frame.joined, ...frame.changed]) members.set(member.sessionId, member);
      for (const { sessionId } of frame.left) members.delete(sessionId);
      count = frame.count;
      const self = options.sessionId();
      if (frame.left.some(({ sessionId }) => sessionId === self))
        end(new ClientError("forbidden", "The user token does not allow this room any more."));
      else emitter.emit("presence", frame);
    },
  };
}

export function createRooms(options: RoomsOptions): Rooms {
  const rooms = new Map<string, LiveRoom>();
  /** Left while there was no connection: the session is still in them. */
  const toLeave = new Set<string>();
  let isOnline = false;

  async function leave(room: string): Promise<void> {
    if (isOnline) await options.request({ type: "leave", room });
    else toLeave.add(room);
  }

  return {
    join(room, { history = false }) {
      const known = rooms.get(room);
      if (known !== undefined) return known.handle;
      const live = createRoom(room, { ...options, history, leave, onEnded: () => void rooms.delete(room) });
      rooms.set(room, live);
      toLeave.delete(room);
      // Asked for even if the session is in it already: the answer tells who is there.
      if (isOnline) live.online([]);
      return live.handle;
    },
    online(welcome) {
      isOnline = true;
      for (const room of toLeave) options.requests.ask({ type: "leave", room }, () => {});
      toLeave.clear();
      for (const live of rooms.values()) live.online(welcome.rooms);
    },
    offline() {
      isOnline = false;
      for (const live of rooms.values()) live.offline();
    },
    message(frame) {
      if (frame.room !== undefined) rooms.get(frame.room)?.message(frame);
    },
    presence: (frame) => rooms.get(frame.room)?.presence(frame),
  };
}
