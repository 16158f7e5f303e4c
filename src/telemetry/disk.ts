/** The room on the disk under the database. */
import { gauge, type Family } from "./exposition.ts";

const LEVELS = { ok: 0, low: 1, full: 2 } as const;

/** As much of a look at the disk as is shown. */
export interface DiskReading {
  readonly level: keyof typeof LEVELS;
  readonly freeBytes: number;
  readonly reusableBytes: number;
  readonly walBytes: number;
  readonly ballastBytes: number;
}

export function diskFamilies(disk: DiskReading): readonly Family[] {
  return [
    gauge(
      "holdline_disk_level",
      "0: there is room. 1: no new jobs are accepted. 2: only the ends of jobs are stored.",
      LEVELS[disk.level],
    ),
    gauge("holdline_disk_free_bytes", "Room on the file system of the database.", disk.freeBytes),
    gauge("holdline_database_reusable_bytes", "Room inside the database file.", disk.reusableBytes),
    gauge("holdline_wal_bytes", "Size of the write-ahead log.", disk.walBytes),
    gauge("holdline_ballast_bytes", "Room that is kept in reserve; 0 while it is let go.", disk.ballastBytes),
  ];
}
