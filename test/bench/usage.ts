/** What a process has used so far, asked of the kernel. */
import { readdirSync, readFileSync } from "node:fs";

/** Kernel ticks a second (`getconf CLK_TCK`), the unit of /proc/PID/stat. */
const TICKS_PER_SECOND = 100;

/** The fields of /proc/PID/stat behind the command name, which may hold blanks; none when there is no such process. */
function statOf(pid: number | string): readonly string[] {
  try {
    return readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  } catch {
    return [];
  }
}

/** CPU time of the process so far, all threads, in microseconds. */
export function cpuMicros(pid: number | string): number {
  const stat = statOf(pid);
  return ((Number(stat[11] ?? 0) + Number(stat[12] ?? 0)) / TICKS_PER_SECOND) * 1e6;
}

/** The same of a process and of those that it has started, such as PostgreSQL with a process for each connection. */
export function familyMicros(pid: number): number {
  const children = readdirSync("/proc").filter((name) => statOf(name)[1] === String(pid));
  return children.reduce((sum, child) => sum + cpuMicros(child), cpuMicros(pid));
}

/** Resident memory in bytes. */
export function residentBytes(pid: number): number {
  const line = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"));
  return Number(line?.[1] ?? 0) * 1024;
}
