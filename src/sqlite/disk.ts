/**
 * The room on the disk under a database: watched by a clock, told in three levels, with a ballast that is let go when
 * nothing else helps and made again when there is room. Nothing here refuses anything: who stores asks for the level.
 */
import { statfsSync, statSync, type StatsFs } from "node:fs";
import { statfs } from "node:fs/promises";
import { dirname } from "node:path";
import type { Clock, Timer } from "../lib/clock.ts";
import type { Logger } from "../lib/logger.ts";
import { LIMITS } from "../protocol/limits.ts";
import { createBallast } from "./ballast.ts";

/**
 * `ok`: everything is stored. `low`: no new jobs, so that those that were accepted find room. `full`: what is left is
 * kept for what ends jobs and deletes old ones.
 */
export type DiskLevel = "ok" | "low" | "full";

export interface DiskReading {
  readonly level: DiskLevel;
  /** On the file system, for this user. */
  readonly freeBytes: number;
  /** Inside the database file, left by what was deleted. */
  readonly reusableBytes: number;
  /** The write-ahead log as it lies on the disk. */
  readonly walBytes: number;
  readonly ballastBytes: number;
}

export interface Disk {
  /** As of a moment ago. */
  readonly reading: DiskReading;
  /** Something was written: looks again soon, however much is written between two looks of the clock. */
  wrote(): void;
  /** A write was refused for want of room: looks at once, whatever the last look said. */
  ranOut(): void;
  /** Resolves when something may be written that can wait; at once unless the level is `full`. */
  untilRoom(): Promise<void>;
  start(): void;
  stop(): Promise<void>;
}

export interface DiskOptions {
  /** Of the database. */
  readonly path: string;
  /** Bytes in pages of the database that hold nothing. */
  readonly reusableBytes: () => number;
  readonly clock: Clock;
  readonly logger: Logger;
}

interface Marks {
  /** Less is `low`. */
  readonly lowBytes: number;
  /** Less is `full`. */
  readonly fullBytes: number;
  readonly ballastBytes: number;
}

const LOOK_MS = 1000;
/** While something is written; a quick disk takes a gigabyte a second. */
const BUSY_LOOK_MS = 50;
/** A ballast that had to go is not made again at once: whoever filled the disk may not be done. */
const REMAKE_MS = 10_000;
/** How often an alarm that goes on is told again. */
const ALARM_MS = 60_000;
/** Above a mark by this much before it counts as passed, so that nobody is refused and let in by turns. */
const CLEARANCE = 1.25;
/** On a small disk the marks are this part of the whole. */
const SMALL_PART = 8;

/** @internal Exported for its test. */
export function marksOf(totalBytes: number): Marks {
  const lowBytes = Math.min(LIMITS.diskLowBytes, Math.floor(totalBytes / SMALL_PART));
  const ballastBytes = Math.min(LIMITS.ballastBytes, Math.floor(totalBytes / SMALL_PART));
  return { lowBytes, ballastBytes, fullBytes: Math.floor(ballastBytes / 4) };
}

/** What the level follows from. Room is counted as if the ballast were in its place. */
export interface Room {
  readonly freeBytes: number;
  readonly reusableBytes: number;
  readonly walBytes: number;
  readonly ballastBytes: number;
}

/** @internal Exported for its test. */
export function levelOf(room: Room, marks: Marks, before: DiskLevel): DiskLevel {
  const missing = Math.max(marks.ballastBytes - room.ballastBytes, 0);
  // What was deleted makes room for rows; the write-ahead log needs some of the disk's own.
  const left = room.freeBytes - missing + room.reusableBytes;
  const full = before === "full" ? CLEARANCE * marks.fullBytes : marks.fullBytes;
  if (left < full || room.freeBytes < marks.fullBytes) return "full";
  const low = before === "ok" ? marks.lowBytes : CLEARANCE * marks.lowBytes;
  return left < low || room.walBytes > LIMITS.walMostBytes ? "low" : "ok";
}

const bytesOf = ({ bavail, blocks, bsize }: StatsFs) => ({
  freeBytes: bavail * bsize,
  totalBytes: blocks * bsize,
});

const ballastPath = (path: string): string => `${path}.ballast`;

/** Before a database is opened: its own recovery needs room as well. */
export function makeRoomToStart(path: string): void {
  const { freeBytes, totalBytes } = bytesOf(statfsSync(dirname(path)));
  const marks = marksOf(totalBytes);
  if (freeBytes < marks.fullBytes) createBallast(ballastPath(path), marks.ballastBytes).free();
}

/** Tells of levels and of a log that does not shrink, each when it begins and once in a while. */
function createTelling({ path, clock, logger }: DiskOptions) {
  let walToldMs = Number.NEGATIVE_INFINITY;
  return {
    level(before: DiskLevel, reading: DiskReading): void {
      const { level, ...bytes } = reading;
      if (level === before) return;
      if (level === "ok") logger.info({ path, ...bytes }, "there is room on the disk again");
      if (level === "low")
        logger.warn({ path, ...bytes }, "the disk is nearly full: no new jobs are accepted");
      if (level === "full")
        logger.error({ path, ...bytes }, "the disk is full: jobs wait, only their ends are stored");
    },
    wal({ walBytes }: DiskReading): void {
      if (walBytes < LIMITS.walAlarmBytes || clock.elapsedMs() - walToldMs < ALARM_MS) return;
      walToldMs = clock.elapsedMs();
      logger.warn(
        { path, walBytes },
        "the write-ahead log does not shrink: another program may keep the database open in a transaction",
      );
    },
  };
}

export function createDisk(options: DiskOptions): Disk {
  const { path, clock, logger } = options;
  const folder = dirname(path);
  const marks = marksOf(bytesOf(statfsSync(folder)).totalBytes);
  const ballast = createBallast(ballastPath(path), marks.ballastBytes);
  const telling = createTelling(options);
  const waiting: (() => void)[] = [];
  let timer: Timer | null = null;
  let looking: Promise<void> | null = null;
  let stopped = false;
  let emptied = false;
  let lookedMs = Number.NEGATIVE_INFINITY;
  let remakeAtMs = Number.NEGATIVE_INFINITY;
  let reading: DiskReading = {
    level: "ok",
    ...bytesOf(statfsSync(folder)),
    reusableBytes: 0,
    walBytes: 0,
    ballastBytes: ballast.size(),
  };

  const letGo = (): void => {
    ballast.free();
    remakeAtMs = clock.elapsedMs() + REMAKE_MS;
    logger.error(
      { path, bytes: marks.ballastBytes },
      "the ballast was let go: its room is for what ends jobs",
    );
  };

  const remake = async (): Promise<void> => {
    remakeAtMs = clock.elapsedMs() + REMAKE_MS;
    await ballast.make().catch((error: unknown) => logger.warn({ error }, "the ballast could not be made"));
  };

  const measure = async (): Promise<Room> => ({
    freeBytes: bytesOf(await statfs(folder)).freeBytes,
    reusableBytes: options.reusableBytes(),
    walBytes: statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0,
    ballastBytes: ballast.size(),
  });

  const look = async (): Promise<void> => {
    let room = await measure();
    const before = reading.level;
    let level = emptied ? "full" : levelOf(room, marks, before);
    emptied = false;
    if (level === "full" && room.ballastBytes > 0) {
      letGo();
      room = await measure();
    }
    const missing = room.ballastBytes < marks.ballastBytes;
    const spare = room.freeBytes - (marks.ballastBytes - room.ballastBytes) >= marks.lowBytes;
    if (missing && spare && level === "ok" && clock.elapsedMs() >= remakeAtMs) {
      await remake();
      room = await measure();
      level = levelOf(room, marks, level);
    }
    reading = { level, ...room };
    telling.level(before, reading);
    telling.wal(reading);
    if (level !== "full") for (const go of waiting.splice(0)) go();
  };

  const lookNow = (): void => {
    lookedMs = clock.elapsedMs();
    looking ??= look()
      .catch((error: unknown) => logger.warn({ error, path }, "the disk could not be looked at"))
      .finally(() => {
        looking = null;
        // Somebody ran out while this look was under way.
        if (emptied && !stopped) lookNow();
      });
  };

  return {
    get reading() {
      return reading;
    },
    wrote() {
      if (!stopped && clock.elapsedMs() - lookedMs >= BUSY_LOOK_MS) lookNow();
    },
    ranOut() {
      emptied = true;
      if (!stopped) lookNow();
    },
    untilRoom: () =>
      reading.level !== "full" || stopped
        ? Promise.resolve()
        : new Promise((resolve) => {
            waiting.push(resolve);
          }),
    start() {
      timer = clock.every(LOOK_MS, lookNow);
      lookNow();
    },
    async stop() {
      stopped = true;
      timer?.cancel();
      timer = null;
      for (const go of waiting.splice(0)) go();
      await looking;
    },
  };
}

/** A database in memory has no disk to fill. */
export function createNoDisk(): Disk {
  return {
    reading: {
      level: "ok",
      freeBytes: Number.POSITIVE_INFINITY,
      reusableBytes: 0,
      walBytes: 0,
      ballastBytes: 0,
    },
    wrote: () => {},
    ranOut: () => {},
    untilRoom: () => Promise.resolve(),
    start: () => {},
    stop: () => Promise.resolve(),
  };
}
