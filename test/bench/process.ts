/** A server process under measurement: started, and asked of the kernel what it has used. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const ROOT = resolve(import.meta.dir, "../..");
/** Kernel ticks a second (`getconf CLK_TCK`), the unit of /proc/PID/stat. */
const TICKS_PER_SECOND = 100;

export interface Measured {
  readonly url: string;
  /** CPU time of the process so far, all threads, in microseconds. */
  cpuMicros(): number;
  /** Resident memory in bytes. */
  residentBytes(): number;
  stop(): Promise<void>;
}

/** CPU time of a process so far, all threads. */
export function cpuMicrosOf(pid: number): number {
  // Fields 14 and 15 (utime, stime), counted behind the command name, which may hold blanks.
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return ((Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND) * 1e6;
}

async function firstLine(stream: ReadableStream<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of stream) {
    text += decoder.decode(chunk, { stream: true });
    if (text.includes("\n")) break;
  }
  return text.slice(0, text.indexOf("\n"));
}

/**
 * Starts `script` and waits for the line that says where it listens (`{"url": …}`). Its data lie in a folder of their own
 * inside `place`.
 */
export async function startMeasured(
  script: string,
  env: Readonly<Record<string, string>> = {},
  place = tmpdir(),
): Promise<Measured> {
  const dataDir = mkdtempSync(join(place, "holdline-bench-"));
  const child = Bun.spawn([process.execPath, "--no-env-file", ...script.split(" ")], {
    cwd: ROOT,
    stdout: "pipe",
    stderr: "inherit",
    env: { ...process.env, HOLDLINE_PORT: "0", HOLDLINE_DATA_DIR: dataDir, HOLDLINE_LOG: "warn", ...env },
  });
  const { url } = JSON.parse(await firstLine(child.stdout)) as { url: string };
  return {
    url,
    cpuMicros: () => cpuMicrosOf(child.pid),
    residentBytes() {
      const line = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${child.pid}/status`, "utf8"));
      return Number(line?.[1] ?? 0) * 1024;
    },
    async stop() {
      child.kill("SIGKILL");
      await child.exited;
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}
