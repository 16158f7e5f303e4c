/**
 * A real end of memory: a control group of the kernel with little of it, in which a server is started. When it needs
 * more, the kernel's out-of-memory killer ends it, as in a container that is too small.
 */
import { mkdir, readFile, rmdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { until } from "../support/wait.ts";

export interface MemoryCage extends AsyncDisposable {
  /** Put in front of a command, it moves itself into the group and becomes the command. */
  readonly under: readonly string[];
  /** Processes in it that the kernel has killed for their memory. */
  kills(): Promise<number>;
}

/** The two shapes that control groups have. */
interface Kind {
  /** Where groups are made: the first of these that can be written to. */
  readonly parents: () => Promise<string[]>;
  readonly limitFile: string;
  /** Switched off where it exists, so that memory ends where the limit is. */
  readonly swap: Readonly<Record<string, string>>;
  /** The file that counts, with a line `oom_kill N`. */
  readonly countFile: string;
}

/** The group of this process in the hierarchy of `controller` (the empty name: version 2). */
async function ownGroup(controller: string): Promise<string> {
  const groups = await readFile("/proc/self/cgroup", "utf8");
  const line = groups
    .split("\n")
    .find((text) => text.split(":")[1]?.split(",").includes(controller) === true);
  return line?.split(":").slice(2).join(":") ?? "/";
}

const KINDS: readonly Kind[] = [
  {
    parents: async () => [join("/sys/fs/cgroup/memory", await ownGroup("memory")), "/sys/fs/cgroup/memory"],
    limitFile: "memory.limit_in_bytes",
    swap: { "memory.swappiness": "0" },
    countFile: "memory.oom_control",
  },
  {
    parents: async () => [join("/sys/fs/cgroup", await ownGroup("")), "/sys/fs/cgroup"],
    limitFile: "memory.max",
    swap: { "memory.swap.max": "0" },
    countFile: "memory.events",
  },
];

/** Makes a group with a limit under `parent`; null where that is not possible. */
async function makeGroup(
  kind: Kind,
  parent: string,
  name: string,
  limitBytes: number,
): Promise<string | null> {
  const group = join(parent, name);
  try {
    await mkdir(group);
  } catch {
    return null;
  }
  try {
    // Opening for writing would make an ordinary file where no control group is mounted.
    await writeFile(join(group, kind.limitFile), String(limitBytes), { flag: "r+" });
    for (const [file, value] of Object.entries(kind.swap)) {
      await writeFile(join(group, file), value, { flag: "r+" }).catch(() => undefined);
    }
    return group;
  } catch {
    await rmdir(group);
    return null;
  }
}

/** Throws a sentence that says what this machine does not allow. */
export async function openMemoryCage(limitBytes: number): Promise<MemoryCage> {
  const name = `holdline-test-${Bun.randomUUIDv7()}`;
  const tried: string[] = [];
  for (const kind of KINDS) {
    for (const parent of new Set(await kind.parents())) {
      tried.push(parent);
      const group = await makeGroup(kind, parent, name, limitBytes);
      if (group === null) continue;
      return {
        under: ["sh", "-c", 'echo $$ > "$0/cgroup.procs" && exec "$@"', group],
        async kills() {
          const counts = await readFile(join(group, kind.countFile), "utf8");
          return Number(/^oom_kill (\d+)$/m.exec(counts)?.[1]);
        },
        async [Symbol.asyncDispose]() {
          await until("the group to be empty", async () =>
            rmdir(group).then(
              () => true,
              () => false,
            ),
          );
        },
      };
    }
  }
  throw new Error(
    `this test needs a control group with a limit of its memory, and may not make one under ${tried.join(" or ")}: run it as root, outside of a container or in one with a writable cgroup file system`,
  );
}
