/**
 * Virtual time: everything that happens is an event with a moment, and one event happens after the other. A second of
 * it takes as long as what happens in it.
 */
import type { Clock, SystemClock, Timer } from "../../src/lib/clock.ts";

/** Something that can die or stand still, with all that it still has to do. */
export interface Process {
  readonly name: string;
  alive: boolean;
  /** Nothing of it happens before (SIGSTOP, a blocked event loop). */
  frozenUntilMs: number;
  /** How long it has stood still, as far as its own clock did as well. */
  lostMs: number;
  /** Commits of it that are on the disk and were not answered yet. */
  unanswered: number;
}

export function createProcess(name: string): Process {
  return { name, alive: true, frozenUntilMs: 0, lostMs: 0, unanswered: 0 };
}

/** The most that counts of a pause: the clock cannot tell it from a busy loop. */
const PAUSE_MS = 1000;

/** The process stands still for so long. */
export function freeze(process: Process, nowMs: number, forMs: number): void {
  process.frozenUntilMs = nowMs + forMs;
  process.lostMs += Math.max(forMs - PAUSE_MS, 0);
}

export interface Timeline {
  /** Milliseconds since the beginning. */
  readonly nowMs: number;
  /** Events so far. */
  readonly events: number;
  /** Happens after `delayMs`, unless its owner is dead by then. */
  after(delayMs: number, run: () => void, owner?: Process): Timer;
  /** Lets things happen until `done` says so (true) or `limitMs` is reached (false). */
  run(done: () => boolean, limitMs: number): Promise<boolean>;
}

interface Event extends Timer {
  atMs: number;
  order: number;
  readonly run: () => void;
  readonly owner: Process | null;
  canceled: boolean;
}

/** Which of two happens first. */
function isBefore(a: Event, b: Event): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}

/** A heap: the next event is the first entry. */
function push(heap: Event[], event: Event): void {
  let place = heap.push(event) - 1;
  while (place > 0) {
    const parent = (place - 1) >> 1;
    const above = heap[parent];
    if (above === undefined || !isBefore(event, above)) break;
    heap[place] = above;
    place = parent;
  }
  heap[place] = event;
}

function pop(heap: Event[]): Event | undefined {
  const first = heap[0];
  const last = heap.pop();
  if (first === undefined || last === undefined || heap.length === 0) return first;
  let place = 0;
  for (;;) {
    let child = place * 2 + 1;
    const [left, right] = [heap[child], heap[child + 1]];
    if (left === undefined) break;
    if (right !== undefined && isBefore(right, left)) child += 1;
    const below = heap[child];
    if (below === undefined || !isBefore(below, last)) break;
    heap[place] = below;
    place = child;
  }
  heap[place] = last;
  return first;
}

/** Lets everything happen that only waits for promises. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

export function createTimeline(): Timeline {
  const heap: Event[] = [];
  let nowMs = 0;
  let order = 0;
  let events = 0;
  return {
    get nowMs() {
      return nowMs;
    },
    get events() {
      return events;
    },
    after(delayMs, run, owner) {
      order += 1;
      const event: Event = {
        atMs: nowMs + Math.max(0, delayMs),
        order,
        run,
        owner: owner ?? null,
        canceled: false,
        cancel() {
          event.canceled = true;
        },
      };
      push(heap, event);
      return event;
    },
    async run(done, limitMs) {
      await settle();
      while (!done()) {
        const event = pop(heap);
        if (event === undefined || event.atMs > limitMs) {
          if (event !== undefined) push(heap, event);
          nowMs = limitMs;
          return false;
        }
        const { owner } = event;
        if (event.canceled || owner?.alive === false) continue;
        nowMs = Math.max(nowMs, event.atMs);
        if (owner !== null && owner.frozenUntilMs > nowMs) {
          event.atMs = owner.frozenUntilMs;
          push(heap, event);
          continue;
        }
        events += 1;
        event.run();
        await settle();
      }
      return true;
    },
  };
}

/** The wall clock that everybody reads; somebody may set it. */
export interface WallClock {
  nowMs(): number;
  /** Sets it forward, or back. */
  jump(byMs: number): void;
}

/** When the simulation begins, by any clock. */
export const EPOCH_MS = 1_800_000_000_000;

export function createWallClock(timeline: Timeline): WallClock {
  let offMs = 0;
  return {
    nowMs: () => EPOCH_MS + timeline.nowMs + offMs,
    jump(byMs) {
      offMs += byMs;
    },
  };
}

export interface ProcessClockOptions {
  readonly timeline: Timeline;
  readonly wall: WallClock;
  readonly process: Process;
  /** How late a timer may be. */
  readonly lateMs: () => number;
  /** Its steady time is that of the whole installation, which goes on while one of several nodes stands still. */
  readonly common: boolean;
}

/** A timer may fire this much before its time, as in lib/clock.ts. */
const EARLY_MS = 2;

/**
 * The clock of one process, as lib/clock.ts makes it: steady time is anchored to the wall clock when it starts, and
 * stands still while the process does.
 */
export function createProcessClock(options: ProcessClockOptions): Clock & Pick<SystemClock, "resume"> {
  const { timeline, wall, process, lateMs, common } = options;
  let anchorMs = common ? EPOCH_MS : wall.nowMs() - timeline.nowMs;
  const steadyMs = (): number => anchorMs + timeline.nowMs - (common ? 0 : process.lostMs);
  const elapsedMs = (): number => timeline.nowMs;
  return {
    wallMs: () => wall.nowMs(),
    steadyMs,
    elapsedMs,
    resume(leastSteadyMs) {
      anchorMs += Math.max(leastSteadyMs - steadyMs(), 0);
    },
    after(delayMs, run) {
      const dueMs = steadyMs() + delayMs;
      let timer: Timer;
      const wait = (ms: number): void => {
        timer = timeline.after(ms + lateMs(), ring, process);
      };
      const ring = (): void => {
        const leftMs = dueMs - steadyMs();
        if (leftMs > EARLY_MS) wait(leftMs);
        else run();
      };
      wait(delayMs);
      return { cancel: () => timer.cancel() };
    },
    every(intervalMs, run) {
      let timer: Timer;
      const again = (): void => {
        const happen = (): void => {
          again();
          run();
        };
        timer = timeline.after(intervalMs + lateMs(), happen, process);
      };
      again();
      return { cancel: () => timer.cancel() };
    },
  };
}
