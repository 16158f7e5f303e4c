/** The end of R14: a write-ahead log that a reader holds grows to its bound and no further. */
import { expect, test } from "bun:test";
import { checkIntegrity } from "../faults/disk/history.ts";
import { hold } from "../faults/disk/hold.ts";
import { ALARM, MIB, walBytes, writeUntil } from "../faults/disk/wal.ts";
import { expectProblem, newSession, tokensBody } from "../support/http.ts";
import { expectWhole } from "../support/log-checker.ts";
import { startServer } from "../support/server.ts";
import { until } from "../support/wait.ts";

const LIMIT_MS = 120_000;

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
