/**
 * A disk that can be filled to the last byte: a small tmpfs of its own where mounting is allowed, else the small
 * /dev/shm that containers come with. Without either the error says what is missing.
 */
import { statfsSync } from "node:fs";
import { mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

const MIB = 1024 * 1024;
const SIZE_MIB = 96;
/** A /dev/shm larger than this is somebody's memory, not a small disk. */
const SHARED_MOST_BYTES = 256 * MIB;
const STEP = new Uint8Array(64 * 1024).fill(7);

export interface SmallDisk extends AsyncDisposable {
  readonly path: string;
  freeBytes(): number;
  /** Takes room away until only this is left. */
  fill(leaveBytes: number): Promise<void>;
  /** Gives all of it back. */
  empty(): Promise<void>;
}

function run(...command: string[]): { ok: boolean; said: string } {
  const done = Bun.spawnSync(command, { stderr: "pipe" });
  return { ok: done.exitCode === 0, said: done.stderr.toString().trim() };
}

async function find(): Promise<{ path: string; remove: () => Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), "holdline-disk-"));
  const mounted = run("mount", "-t", "tmpfs", "-o", `size=${SIZE_MIB}m`, "tmpfs", path);
  if (mounted.ok) {
    return {
      path,
      async remove() {
        run("umount", "-l", path);
        await rm(path, { recursive: true, force: true });
      },
    };
  }
  await rm(path, { recursive: true, force: true });
  const { blocks, bsize } = statfsSync("/dev/shm");
  if (blocks * bsize > SHARED_MOST_BYTES) {
    throw new Error(
      `no small disk for this test: mounting a tmpfs is not allowed (${mounted.said}), and /dev/shm is too large to be filled. Run it as root, or in a container with a /dev/shm of 64 MB.`,
    );
  }
  const shared = await mkdtemp("/dev/shm/holdline-disk-");
  return { path: shared, remove: () => rm(shared, { recursive: true, force: true }) };
}

export async function openSmallDisk(): Promise<SmallDisk> {
  const { path, remove } = await find();
  const filler = join(path, "filler");
  const freeBytes = (): number => {
    const { bavail, bsize } = statfsSync(path);
    return bavail * bsize;
  };
  return {
    path,
    freeBytes,
    async fill(leaveBytes) {
      const file = await open(filler, "a");
      try {
        for (let over = freeBytes() - leaveBytes; over > 0; over = freeBytes() - leaveBytes)
          await file.write(STEP.subarray(0, Math.min(over, STEP.length)));
      } catch (error) {
        if ((error as { code?: unknown }).code !== "ENOSPC") throw error;
      } finally {
        await file.close();
      }
    },
    empty: () => rm(filler, { force: true }),
    [Symbol.asyncDispose]: remove,
  };
}
