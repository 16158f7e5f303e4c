/** One round of R11: the n-th write of a server under load fails, and afterwards all of each change is there or nothing. */
import { expect } from "bun:test";
import { tokensBody } from "../../support/http.ts";
import { startServer } from "../../support/server.ts";
import { openHistory, type Told } from "./history.ts";
import { inject, type Failure } from "./inject.ts";

const CLIENTS = 4;
/** Submits of each client after the failure was set: their writes are the ones that it may hit. */
const SUBMITS = 6;

export interface RoundFacts {
  readonly told: Readonly<Record<Told, number>>;
  /** Writes that failed. */
  readonly hits: number;
  /** The server ended by itself. */
  readonly ended: boolean;
}

/** `when`: which write of each thread. Rejects when anything is half there, doubled or lost. */
export async function failWrite(error: Failure["error"], when: string): Promise<RoundFacts> {
  await using server = await startServer();
  const history = await openHistory(server, CLIENTS);
  // A run that writes all the while, so that appends are hit as well as submits.
  await history.submit(tokensBody({ tokens: 100, intervalMs: 2 }));
  let hits: number;
  {
    await using failing = await inject(server, { calls: ["pwrite64"], error, when });
    const client = async (): Promise<void> => {
      for (let n = 0; n < SUBMITS && server.exit() === null; n += 1)
        await history.submit(tokensBody({ tokens: 5, size: 100, audioBytes: 2000 }));
    };
    await Promise.all(Array.from({ length: CLIENTS }, client));
    hits = await failing.hits();
  }
  // What a server told nobody may be on the disk all the same: only a new process shows what is.
  // Its port is gone a moment before the process is.
  const ended = server.exit() !== null || history.told.lost > 0;
  if (ended) expect(await server.exited()).toEqual({ code: 1, signal: null });
  await server.restart();
  await history.check(server);
  return { told: history.told, hits, ended };
}
