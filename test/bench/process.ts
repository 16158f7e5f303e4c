/** A server process under measurement. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { cpuMicros, residentBytes } from "./usage.ts";

const ROOT = resolve(import.meta.dir, "../..");

export interface Measured {
  readonly url: string;
  /** CPU time of the process so far, all threads, in microseconds. */
  cpuMicros(): number;
  /** Resident memory in bytes. */
  residentBytes(): number;
  stop(): Promise<void>;
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
    cpuMicros: () => cpuMicros(child.pid),
    residentBytes: () => residentBytes(child.pid),
    async stop() {
      child.kill("SIGKILL");
      await child.exited;
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}
