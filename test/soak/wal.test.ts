/** R14, R15: the write-ahead log while somebody reads and does not let go, up to its bound, and while much is written back. */
import { expect, test } from "bun:test";
import { expectProblem, newSession, tokensBody, type Api } from "../support/http.ts";
import { expectWhole } from "../support/log-checker.ts";
import { startServer } from "../support/server.ts";
import { letTimePass, until } from "../support/wait.ts";
import { checkIntegrity } from "../faults/disk/history.ts";
import { hold } from "../faults/disk/hold.ts";
import { ALARM, MIB, walBytes, writeUntil } from "../faults/disk/wal.ts";

const LIMIT_MS = 120_000;

test(
  "faults/R14: a reader that does not let go is told of, and the log shrinks when it has gone",
  async () => {
    await using server = await startServer();
    const api = await newSession(server);
    let ids: string[];
    {
      await using reader = await hold(server, "read");
      expect(reader.pid).not.toBe(server.pid);
      ids = await writeUntil(api, async () => (await walBytes(server)) > 64 * MIB);
      await until("the alarm", () => server.logs().some(({ msg }) => msg === ALARM));
    }
    await until("the log to shrink", async () => (await walBytes(server)) <= 16 * MIB, LIMIT_MS);
    for (const id of ids) expectWhole(await api.log(id));
    expect(server.logs().filter(({ msg }) => msg === ALARM)).toHaveLength(1);
    await server.kill("SIGTERM");
    await server.exited();
    checkIntegrity(server.dataFolder);
  },
  LIMIT_MS,
);

test(
  "faults/R14: above its bound the log keeps new jobs out, until its reader has gone",
  async () => {
    await using server = await startServer();
    const api = await newSession(server);
    let ids: string[];
    {
      await using reader = await hold(server, "read");
      expect(reader.pid).not.toBe(server.pid);
      ids = await writeUntil(api, async () => (await walBytes(server)) > 400 * MIB);
      // Refused before that: what it may still grow by is what was accepted.
      expect(await walBytes(server)).toBeLessThan(400 * MIB);
      expectProblem(await api.post(tokensBody()), 503, "storage_unavailable");
      expect(server.logs().filter(({ msg }) => msg === ALARM)).not.toEqual([]);
    }
    await until("the log to shrink", async () => (await walBytes(server)) <= 16 * MIB, LIMIT_MS);
    await until("submits to be taken", async () => (await api.post(tokensBody())).status === 202);
    for (const id of ids) expectWhole(await api.log(id));
    await server.kill("SIGTERM");
    await server.exited();
    checkIntegrity(server.dataFolder);
  },
  LIMIT_MS,
);

/** Milliseconds that each of `count` submits took; one every few, whether or not those before it were answered. */
async function submitTimes(api: Api, count: number): Promise<number[]> {
  const submits: Promise<number>[] = [];
  for (let n = 0; n < count; n += 1) {
    const begun = performance.now();
    submits.push(
      api.post(tokensBody({ tokens: 1 })).then(({ status, text }) => {
        expect({ status, text: status === 202 ? "" : text }).toEqual({ status: 202, text: "" });
        return performance.now() - begun;
      }),
    );
    // The load is about time itself: a server that stands still must not stop what comes in.
    await letTimePass(4);
  }
  return (await Promise.all(submits)).toSorted((a, b) => a - b);
}

const p95 = (times: readonly number[]): number => times[Math.floor(0.95 * times.length)] ?? 0;

test(
  "faults/R15: commits stay quick while a large log is written back",
  async () => {
    await using server = await startServer({ env: { HOLDLINE_USER_JOBS: "0" } });
    const api = await newSession(server);
    await submitTimes(api, 100);
    const before = p95(await submitTimes(api, 200));
    {
      await using reader = await hold(server, "read");
      expect(reader.pid).not.toBe(server.pid);
      await writeUntil(api, async () => (await walBytes(server)) > 120 * MIB);
    }
    const during = p95(await submitTimes(api, 200));
    await until("the log to shrink", async () => (await walBytes(server)) <= 16 * MIB, LIMIT_MS);
    // A commit that waited for all of it would hold up all that come in meanwhile.
    expect(during).toBeLessThan(8 * before + 30);
  },
  LIMIT_MS,
);
