/** Checks of the data folder and the disk under it: who may look in, what kind of disk, how much room, how long an fsync takes. */
import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readdirSync,
  statfsSync,
  statSync,
  writeSync,
} from "node:fs";
import { dirname, join } from "node:path";
import type { Config } from "../../config.ts";
import type { Clock } from "../../lib/clock.ts";
import { spreadOf } from "../../lib/percentile.ts";
import { LIMITS } from "../../protocol/limits.ts";
import { type Finding, fail, ok, warn } from "./finding.ts";

/** `f_type` of statfs (linux/magic.h, statfs(2)), for file systems that a database must not or should not lie on. */
const FILE_SYSTEMS: ReadonlyMap<
  number,
  { readonly name: string; readonly trouble: "network" | "memory" | null }
> = new Map([
  [0x6969, { name: "NFS", trouble: "network" }],
  [0x517b, { name: "SMB", trouble: "network" }],
  [0xff534d42, { name: "CIFS", trouble: "network" }],
  [0xfe534d42, { name: "SMB2", trouble: "network" }],
  [0x01021997, { name: "9p", trouble: "network" }],
  [0x00c36400, { name: "Ceph", trouble: "network" }],
  [0x5346414f, { name: "AFS", trouble: "network" }],
  [0x65735546, { name: "FUSE", trouble: "network" }],
  [0x01021994, { name: "tmpfs", trouble: "memory" }],
  [0x858458f6, { name: "ramfs", trouble: "memory" }],
  [0xef53, { name: "ext4", trouble: null }],
  [0x58465342, { name: "XFS", trouble: null }],
  [0x9123683e, { name: "btrfs", trouble: null }],
  [0x2fc12fc1, { name: "ZFS", trouble: null }],
  [0x794c7630, { name: "overlay", trouble: null }],
]);

const FSYNCS = 100;
const FSYNC_BYTES = 4096;
/** Slower than this at p99, and users wait for the disk. */
const SLOW_FSYNC_MS = 50;
/** Quicker than this at p50, and it was not a disk that answered. */
const UNLIKELY_FSYNC_MS = 0.01;

/** A folder that exists, for what is asked of a file system: the data folder or the nearest one above it. */
function presentFolder(path: string): string {
  return existsSync(path) ? path : presentFolder(dirname(path));
}

const inGigabytes = (bytes: number): string => `${(bytes / 1e9).toFixed(1)} GB`;

export function checkDataFolder({ dataDir }: Config): Finding {
  const name = "data folder";
  const found = statSync(dataDir, { throwIfNoEntry: false });
  if (found === undefined) return ok(name, `${dataDir} is made at the first start`);
  if (!found.isDirectory()) return fail(name, `${dataDir} is not a folder`, "Name another one: --data-dir");
  const mode = found.mode & 0o777;
  if ((mode & 0o077) !== 0) {
    const text = `${dataDir} has mode 0${mode.toString(8)}: others may look in`;
    return warn(name, text, `chmod 700 ${dataDir} (the server does it at its start)`);
  }
  const left = readdirSync(dataDir).filter((entry) => /^(?:selftest|bench|doctor)-/.test(entry));
  if (left.length > 0)
    return warn(
      name,
      `${left.join(", ")} in ${dataDir} was left over by a test`,
      "Delete it when no test runs",
    );
  return ok(name, dataDir);
}

export function checkDisk({ dataDir }: Config): Finding {
  const name = "disk";
  const folder = presentFolder(dataDir);
  const { bavail, bsize, type } = statfsSync(folder);
  // Signed in some runtimes; the magic numbers are not.
  const kind = FILE_SYSTEMS.get(type >>> 0);
  const free = bavail * bsize;
  const text = `${kind?.name ?? `file system 0x${(type >>> 0).toString(16)}`}, ${inGigabytes(free)} free`;
  if (free < LIMITS.diskLowBytes)
    return fail(name, text, "Make room: with so little of it the server accepts no new jobs");
  if (kind?.trouble === "network")
    return warn(
      name,
      text,
      "Locks and fsync may not hold on a network file system: use a local disk for --data-dir",
    );
  if (kind?.trouble === "memory")
    return warn(name, text, "What is in memory is gone with the machine: use a disk for --data-dir");
  if (free < 10 * LIMITS.diskLowBytes) return warn(name, text, "Make room soon");
  return ok(name, text);
}

/** Writes and syncs in `folder`, which is the caller's to remove. Durations in milliseconds. */
function measureFsync(folder: string, clock: Clock): number[] {
  const handle = openSync(join(folder, "fsync"), "w", 0o600);
  const page = new Uint8Array(FSYNC_BYTES);
  try {
    return Array.from({ length: FSYNCS }, () => {
      writeSync(handle, page);
      const beganMs = clock.elapsedMs();
      fsyncSync(handle);
      return clock.elapsedMs() - beganMs;
    });
  } finally {
    closeSync(handle);
  }
}

/** `folder`: an empty one on the disk of the data folder. */
export function checkFsync(folder: string, clock: Clock, durability: Config["durability"]): Finding {
  const name = "fsync";
  const { p50, p99 } = spreadOf(measureFsync(folder, clock));
  const text = `p50 ${p50?.toFixed(2)} ms, p99 ${p99?.toFixed(2)} ms`;
  if (durability === "process")
    return warn(
      name,
      `${text}, and not waited for`,
      "Accepted jobs may be lost in a power cut: --durability=power",
    );
  if ((p99 ?? 0) > SLOW_FSYNC_MS)
    return warn(name, text, "Every accepted job waits for it: use a faster disk, or --durability=process");
  if ((p50 ?? 0) < UNLIKELY_FSYNC_MS)
    return warn(name, text, "No disk is that quick: this one may confirm before the data is safe");
  return ok(name, text);
}
