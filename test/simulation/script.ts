/** The handler of the simulation: does what its job's input says, run by run, so that the model knows what must come of it. */
import { z } from "zod";
import { JobError, type AnyHandler, type RunningJob } from "../../src/handlers/handler.ts";
import { sleep, type Clock } from "../../src/lib/clock.ts";
import type { Random } from "./random.ts";

export type Step =
  | { readonly do: "text"; readonly index: number; readonly waits: boolean; readonly bytes: number }
  | { readonly do: "audio" | "bytes"; readonly bytes: number }
  | { readonly do: "json" | "progress" | "checkpoint" | "throw" | "hang" | "crash" }
  | { readonly do: "sleep" | "deaf"; readonly ms: number }
  | { readonly do: "fail"; readonly retryable: boolean; readonly afterMs: number | null };

export interface Script {
  /** Names the one thing that was asked for. */
  readonly wish: string;
  /** What each run does; the last one stands for all that follow. */
  readonly runs: readonly (readonly Step[])[];
}

const inputSchema = z.object({ wish: z.string(), runs: z.array(z.array(z.any())) }) as z.ZodType<Script>;

export function stepsOf({ runs }: Script, attempt: number): readonly Step[] {
  return runs[Math.min(attempt, runs.length) - 1] ?? [];
}

/** What one step writes: no two steps of a job write the same. */
export function label(attempt: number, step: number, bytes: number): string {
  return `${attempt}.${step} `.padEnd(bytes, "é");
}

/** All that a whole run writes as text number 0. */
export function wholeText(script: Script, attempt: number): string {
  return stepsOf(script, attempt)
    .map((step, index) => (step.do === "text" && step.index === 0 ? label(attempt, index, step.bytes) : ""))
    .join("");
}

/** Resolves after the time whatever the signal says: such a handler does not listen. */
function deafSleep(clock: Clock, ms: number): Promise<void> {
  return new Promise((resolve) => void clock.after(ms, resolve));
}

function untilStopped({ signal }: RunningJob): Promise<never> {
  return new Promise((_resolve, reject) => {
    const stop = (): void => reject(signal.reason as Error);
    if (signal.aborted) stop();
    else signal.addEventListener("abort", stop, { once: true });
  });
}

async function perform(
  job: RunningJob,
  step: Step,
  text: string,
  { clock, crash }: { readonly clock: Clock; readonly crash: () => void },
): Promise<void> {
  switch (step.do) {
    case "text": {
      const written = job.text(text, { index: step.index });
      return step.waits ? written : undefined;
    }
    case "audio":
      return job.audio(new Uint8Array(step.bytes).fill(job.attempt));
    case "bytes":
      return job.data(new Uint8Array(step.bytes).fill(7));
    case "json":
      return job.data({ text });
    case "progress":
      return job.progress(0.5, text);
    case "checkpoint":
      return job.checkpoint({ text });
    case "sleep":
      return sleep(clock, step.ms, job.signal);
    case "deaf":
      return deafSleep(clock, step.ms);
    case "hang":
      return untilStopped(job);
    case "fail":
      throw new JobError("scripted", "As the script says.", {
        retryable: step.retryable,
        ...(step.afterMs === null ? {} : { retryAfterMs: step.afterMs }),
      });
    case "throw":
      throw new Error("as the script says");
    case "crash":
      crash();
      return untilStopped(job);
  }
}

/** The type `script`, run in the process, and `remote`, which only a worker runs. */
export function createScriptHandlers(clock: Clock, crash: () => void): AnyHandler[] {
  const run = async (job: RunningJob, script: Script) => {
    const steps = stepsOf(script, job.attempt);
    if (steps.some((step) => step.do === "audio"))
      await job.audioFormat({ codec: "pcm_s16le", sampleRate: 8000, channels: 1 });
    for (const [index, step] of steps.entries()) {
      const bytes = step.do === "text" ? step.bytes : 0;
      await perform(job, step, label(job.attempt, index, bytes), { clock, crash });
    }
    return { wish: script.wish };
  };
  const output = ["text", "audio", "data"] as const;
  const script = { type: "script", input: inputSchema, output, run, rollupMs: 0 };
  return [script, { ...script, type: "rolled", rollupMs: 20 }, { ...script, type: "remote", concurrency: 0 }];
}

function drawStep(random: Random): Step {
  const kind = random.int(20);
  if (kind < 9)
    return {
      do: "text",
      index: random.chance(0.85) ? 0 : 1,
      waits: random.chance(0.6),
      bytes: random.pick([4, 30, 200]),
    };
  if (kind < 14) return { do: "sleep", ms: random.pick([1, 20, 300, 2000]) };
  if (kind < 15) return { do: "audio", bytes: random.pick([2, 64, 640]) };
  if (kind < 16) return { do: "bytes", bytes: random.between(1, 100) };
  return { do: random.pick(["json", "progress", "checkpoint", "json"] as const) };
}

function drawEnd(random: Random): Step[] {
  const kind = random.int(20);
  if (kind < 3) return [{ do: "fail", retryable: true, afterMs: random.pick([null, null, 0, 2000]) }];
  if (kind < 4) return [{ do: "fail", retryable: false, afterMs: null }];
  if (kind < 5) return [{ do: "throw" }];
  if (kind < 6) return [{ do: "hang" }];
  if (kind < 7) return [{ do: "deaf", ms: random.pick([500, 15_000]) }, drawStep(random)];
  if (kind < 8) return [{ do: "crash" }];
  return [];
}

export function drawScript(random: Random, wish: string): Script {
  const runs = Array.from({ length: random.between(1, 3) }, () => [
    ...Array.from({ length: random.between(0, 8) }, () => drawStep(random)),
    ...drawEnd(random),
  ]);
  return { wish, runs };
}
