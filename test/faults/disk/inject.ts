/**
 * Errors of the disk for a server that runs: strace is attached to the process and lets system calls of its threads
 * fail. Needs the right to trace (ptrace), which containers have by default; a refusal is an error that says so.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { requireService } from "../../services.ts";
import type { TestServer } from "../../support/server.ts";
import { until, within } from "../../support/wait.ts";

export interface Failure {
  /** System calls, such as `fsync` or `pwrite64`. */
  readonly calls: readonly string[];
  /** What such a call answers in place of doing its work; `SIGKILL`: the process dies before it does. */
  readonly error: "EIO" | "ENOSPC" | "SIGKILL";
  /** Which of them: `3` the third of each thread from now on, `3+` that and all after it. */
  readonly when: string;
}

export interface Injection extends AsyncDisposable {
  /** Calls that were made to fail so far. */
  hits(): Promise<number>;
  /** When the first of them was made, in ms of the wall clock (to the microsecond); throws when there was none. */
  firstHitMs(): Promise<number>;
}

/** Resolves when the calls of every thread are watched. Ends with the server, or when it is disposed of. */
export async function inject(server: Pick<TestServer, "pid">, failure: Failure): Promise<Injection> {
  requireService("strace");
  const folder = await mkdtemp(join(tmpdir(), "holdline-strace-"));
  const log = join(folder, "calls");
  const calls = failure.calls.join(",");
  const effect = failure.error === "SIGKILL" ? "signal=SIGKILL" : `error=${failure.error}`;
  const tracer = Bun.spawn(
    [
      "strace",
      "-f",
      "-ttt",
      "-p",
      String(server.pid),
      "-o",
      log,
      "-e",
      `trace=${calls}`,
      "-e",
      `inject=${calls}:${effect}:when=${failure.when}`,
    ],
    { stdin: "ignore", stdout: "ignore", stderr: "pipe" },
  );
  let said = "";
  const attached = Promise.withResolvers<void>();
  const reading = (async () => {
    for await (const chunk of tracer.stderr) {
      said += new TextDecoder().decode(chunk);
      if (/attached/.test(said)) attached.resolve();
    }
    attached.reject(new Error(`strace cannot trace the server here (is ptrace forbidden?): ${said}`));
  })();
  await within("strace to be attached", attached.promise);
  // `71 1795423123.456789 fsync(9) = -1 EIO (Input/output error) (INJECTED)`: thread, seconds, call.
  const injected = async (): Promise<RegExpExecArray[]> => [
    ...(await Bun.file(log).text()).matchAll(/^\d+ +(\d+\.\d+) .*\(INJECTED\)$/gm),
  ];
  return {
    hits: async () => (await injected()).length,
    async firstHitMs() {
      const [hit] = await injected();
      if (hit === undefined) throw new Error("no call was made to fail");
      return Number(hit[1]) * 1000;
    },
    async [Symbol.asyncDispose]() {
      if (tracer.exitCode === null) tracer.kill("SIGINT");
      await until("strace to end", () => tracer.exitCode !== null || tracer.signalCode !== null);
      await reading;
      await rm(folder, { recursive: true, force: true });
    },
  };
}
