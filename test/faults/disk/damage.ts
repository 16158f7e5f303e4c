/** A server whose files somebody changes while it is down, and what it says of the jobs that it had told everybody about. */
import { expect } from "bun:test";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { newSession, tokensBody, type Api } from "../../support/http.ts";
import { checkLog } from "../../support/log-checker.ts";
import { startServer, type TestServer } from "../../support/server.ts";
import type { EventBody } from "../../support/wire.ts";

export type FileName = "holdline.db" | "holdline.db-wal" | "holdline.db-shm";

const FILES: readonly FileName[] = ["holdline.db", "holdline.db-wal", "holdline.db-shm"];
const JOBS = 12;

export interface Damaged extends AsyncDisposable {
  readonly server: TestServer;
  /** Bytes of this file as they were when the server went down. */
  bytes(name: FileName): Uint8Array<ArrayBuffer>;
  /** The files as they were, this one changed; resolves with the refusal of the start, or null when it started. */
  startWith(name: FileName, bytes: Uint8Array<ArrayBuffer>): Promise<string | null>;
  /**
   * What became of each job: shown `whole` as it was, `short` (what was committed before, and what followed from that),
   * or `refused`. Throws for anything that was never so.
   */
  judge(): Promise<Record<"whole" | "short" | "refused", number>>;
}

async function judgeOne(
  api: Api,
  id: string,
  log: readonly EventBody[],
): Promise<"whole" | "short" | "refused"> {
  const answer = await api.call<{ events: EventBody[] }>("GET", `/v1/jobs/${id}/events?limit=1000`);
  if (answer.status >= 400) return "refused";
  const shown = answer.body.events;
  const same = shown.findIndex((event, n) => !Bun.deepEquals(event, log[n]));
  if (same === -1) return shown.length === log.length ? "whole" : "short";
  // From here on it went another way: that can only be a run that began anew.
  expect(["job.retrying", "job.started"]).toContain(shown[same]?.kind ?? "");
  expect(checkLog(shown, false)).toEqual([]);
  return "short";
}

/** `end`: whether the server may write everything back into the database before it goes down. */
export async function prepareDamage(end: "SIGTERM" | "SIGKILL"): Promise<Damaged> {
  const server = await startServer();
  const api = await newSession(server);
  const logs = new Map<string, EventBody[]>();
  for (let n = 0; n < JOBS; n += 1) {
    const { id } = await api.submit(tokensBody({ tokens: 10, size: 400, audioBytes: 300 }));
    await api.finished(id);
    logs.set(id, await api.log(id));
  }
  await server.kill(end);
  await server.exited();
  const stored = new Map<FileName, Uint8Array<ArrayBuffer>>();
  for (const name of FILES) {
    const file = Bun.file(join(server.dataFolder, name));
    if (await file.exists()) stored.set(name, await file.bytes());
  }
  return {
    server,
    bytes(name) {
      const bytes = stored.get(name);
      if (bytes === undefined) throw new Error(`there is no ${name}`);
      return bytes.slice();
    },
    async startWith(name, bytes) {
      for (const file of FILES) {
        const path = join(server.dataFolder, file);
        const before = file === name ? bytes : stored.get(file);
        if (before === undefined) await rm(path, { force: true });
        else await Bun.write(path, before);
      }
      return server.restart().then(
        () => null,
        (error: Error) => error.message,
      );
    },
    async judge() {
      const found = { whole: 0, short: 0, refused: 0 };
      for (const [id, log] of logs) found[await judgeOne(api, id, log)] += 1;
      if (server.exit() === null) await server.kill("SIGKILL");
      return found;
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

/** The same bytes with one of them turned over. */
export function flip(bytes: Uint8Array<ArrayBuffer>, at: number): Uint8Array<ArrayBuffer> {
  bytes[at] = (bytes[at] ?? 0) ^ 0xff;
  return bytes;
}
