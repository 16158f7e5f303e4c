/** What tests of slow readers look at: the memory of a process, the state of its sockets, and how long others wait. */
import { readFile } from "node:fs/promises";
import type { Socket } from "node:net";
import type { Client } from "../support/client.ts";
import { openTcp, upgradeHeaders } from "../support/raw.ts";
import { maskedFrame, type RawWebSocket } from "../support/raw-websocket.ts";
import { until, within } from "../support/wait.ts";
import type { Frame, ReceivedEvent } from "../support/wire.ts";

export const MIB = 1024 * 1024;

/** Resident memory, in bytes. */
export async function residentBytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) * 1024;
}

/** CPU time of a process so far, in ticks of the kernel. */
async function cpuTicks(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return Number(fields[11]) + Number(fields[12]);
}

/** Resolves when a process that was set to work has come to rest: at most a tenth of its time is used. */
export async function comeToRest(pid: number, limitMs = 30_000): Promise<void> {
  let [ticks, atMs] = [await cpuTicks(pid), performance.now()];
  await until(
    "the server to have done what it can",
    async () => {
      if (performance.now() - atMs < 200) return false;
      const now = await cpuTicks(pid);
      const rested = now - ticks <= 2;
      [ticks, atMs] = [now, performance.now()];
      return rested;
    },
    limitMs,
  );
}

/**
 * Resolves with the bytes that each of `count` readers costs over `idleBytes`, once it is below `eachBytes`: what was read
 * for them passes through the collector's hands, which takes its time to give it back.
 */
export async function costBelow(
  server: { readonly pid: number; readonly url: string },
  idleBytes: number,
  { count, eachBytes }: { readonly count: number; readonly eachBytes: number },
): Promise<number> {
  let each = Number.NaN;
  try {
    return await until(
      "memory to be given back",
      async () => {
        // A process that has nothing to do does not collect either.
        await fetch(`${server.url}/healthz`);
        each = Math.max(1, ((await residentBytes(server.pid)) - idleBytes) / count);
        return each < eachBytes && each;
      },
      30_000,
    );
  } catch (cause) {
    throw new Error(`each of ${count} readers costs ${Math.round(each)} bytes`, { cause });
  }
}

const ESTABLISHED = "01";

/** Whether the server's end of this connection is still open, as the kernel sees it. */
export async function isServed(serverPort: number, client: Socket): Promise<boolean> {
  const hex = (port: number): string => port.toString(16).toUpperCase().padStart(4, "0");
  const ends = new RegExp(`:${hex(serverPort)} [0-9A-F]+:${hex(client.localPort ?? 0)} (\\w\\w) `);
  for (const table of ["/proc/net/tcp", "/proc/net/tcp6"]) {
    const state = ends.exec(await readFile(table, "utf8"))?.[1];
    if (state !== undefined) return state === ESTABLISHED;
  }
  return false;
}

/** Sends HTTP by hand; the caller decides whether and when to read the answer. */
export async function requestRaw(
  port: number,
  path: string,
  headers: Record<string, string>,
): Promise<Socket> {
  const tcp = await openTcp(port);
  tcp.on("error", () => undefined);
  const lines = Object.entries({ Host: `127.0.0.1:${port}`, ...headers }).map(
    ([name, value]) => `${name}: ${value}`,
  );
  tcp.write(`GET ${path} HTTP/1.1\r\n${lines.join("\r\n")}\r\n\r\n`);
  return tcp;
}

export interface Drain {
  /** Bytes that arrived. */
  readonly bytes: () => number;
  /** Resolves when as many jobs as are waited for have succeeded, or the connection ended. */
  readonly ended: Promise<void>;
  readonly tcp: Socket;
}

const END = Buffer.from('"kind":"job.succeeded"');

/** Takes everything as fast as it comes and looks at nothing but whether the ends of `jobs` jobs come by. */
export function drain(tcp: Socket, jobs = 1): Drain {
  const ended = Promise.withResolvers<void>();
  let bytes = 0;
  let ends = 0;
  let tail: Buffer = Buffer.alloc(0);
  tcp.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
    const seen = Buffer.concat([tail, chunk]);
    for (let at = seen.indexOf(END); at !== -1; at = seen.indexOf(END, at + 1)) ends += 1;
    tail = seen.subarray(Math.max(0, seen.length - END.length + 1));
    if (ends >= jobs) ended.resolve();
  });
  tcp.on("close", () => ended.resolve());
  return { bytes: () => bytes, ended: ended.promise, tcp };
}

/** A socket that asks for jobs from their beginning and takes what comes, unread. */
export async function openSink(port: number, token: string, jobs: readonly string[]): Promise<Drain> {
  const tcp = await requestRaw(
    port,
    "/v1/connect",
    Object.fromEntries(upgradeHeaders(`holdline.v1, bearer.${token}`)),
  );
  const opened = Promise.withResolvers<void>();
  tcp.once("data", () => opened.resolve());
  await within("the handshake", opened.promise);
  for (const job of jobs) {
    tcp.write(maskedFrame(1, Buffer.from(JSON.stringify({ type: "attach", job }))));
  }
  return drain(tcp, jobs.length);
}

/** Round trips over a socket, one after the other until `done`: sorted, in ms. */
export async function roundTripsMs(
  client: Client,
  least: number,
  done?: Promise<unknown>,
): Promise<number[]> {
  let over = done === undefined;
  void done?.finally(() => {
    over = true;
  });
  const waits: number[] = [];
  while (!over || waits.length < least) {
    const askedMs = performance.now();
    await client.settle();
    waits.push(performance.now() - askedMs);
  }
  return waits.toSorted((a, b) => a - b);
}

/** The value below which `share` of the sorted values lie. */
export function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

/** The events that a socket by hand was given as JSON. */
export function eventsOf(socket: RawWebSocket): ReceivedEvent[] {
  return socket.frames
    .filter(({ type }) => type === "event")
    .map(
      ({ job = "", seq = 0, first = seq, attempt = 0, at = 0, kind = "", data = {}, terminal }: Frame) => ({
        job,
        first,
        seq,
        attempt,
        at,
        kind,
        data,
        terminal: terminal === true,
        frameBytes: 0,
      }),
    );
}

/** The terminal event; an `attached` frame bears the same word. */
export const isEnd = ({ type, terminal }: Frame): boolean => type === "event" && terminal === true;
