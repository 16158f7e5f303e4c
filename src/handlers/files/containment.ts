/**
 * Where code that is not ours runs: in a module graph of its own. What it opens belongs to the graph, and an error that
 * nobody awaited goes to the graph's owner instead of ending the process. It keeps accidents apart, not attackers: the
 * operator trusts the handlers that they install.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import type { AnyHandler, InputContext, RunningJob } from "../handler.ts";

export interface Containment {
  /** Loads a module, and what it imports, anew. */
  load(path: string): Promise<Readonly<Record<string, unknown>>>;
  /** The same handler, its code run inside. */
  contain(handler: AnyHandler): AnyHandler;
  /** Nothing new comes: once the last run is over, what the graph still holds open is closed. */
  retire(): void;
}

/** Runs a function as if the caller were not inside any graph. */
type AsHost = <Value>(work: () => Value) => Value;

/**
 * The job as contained code gets it. Everything it calls is the host's work: a commit that begins inside a graph would
 * be dropped with it, and others wait for that commit.
 */
function fromInside(job: RunningJob, asHost: AsHost): RunningJob {
  return {
    ...job,
    log: {
      debug: (...line) => asHost(() => job.log.debug(...line)),
      info: (...line) => asHost(() => job.log.info(...line)),
      warn: (...line) => asHost(() => job.log.warn(...line)),
      error: (...line) => asHost(() => job.log.error(...line)),
    },
    text: (delta, options) => asHost(() => job.text(delta, options)),
    audioFormat: (format) => asHost(() => job.audioFormat(format)),
    audio: (bytes) => asHost(() => job.audio(bytes)),
    data: (value) => asHost(() => job.data(value)),
    progress: (ratio, message) => asHost(() => job.progress(ratio, message)),
    checkpoint: (value) => asHost(() => job.checkpoint(value)),
    previous: (id) => asHost(() => job.previous(id)),
  };
}

/** `onError` hears of errors outside of any run: a promise nobody awaited, a timer, a socket. */
export function createContainment(onError: (error: unknown) => void): Containment {
  const asHost = AsyncLocalStorage.snapshot() as AsHost;
  const graph = new Bun.ModuleGraph({ onError });
  let inside = 0;
  let retired = false;

  const enter = async <Value>(work: () => Value): Promise<Awaited<Value>> => {
    inside += 1;
    try {
      return await graph.run(work);
    } finally {
      inside -= 1;
      if (retired && inside === 0) graph.dispose();
    }
  };

  return {
    load: async (path) => (await graph.import(path)) as Readonly<Record<string, unknown>>,
    contain(handler) {
      const contained: AnyHandler = {
        ...handler,
        run: (job, input: unknown) => enter(() => handler.run(fromInside(job, asHost), input)),
      };
      if (handler.check === undefined) return contained;
      const check = (input: unknown, context: InputContext): Promise<void> => {
        const fromHost = { ...context, previous: (id: string) => asHost(() => context.previous(id)) };
        return enter(() => handler.check?.(input, fromHost));
      };
      return { ...contained, check };
    },
    retire() {
      retired = true;
      if (inside === 0) graph.dispose();
    },
  };
}
