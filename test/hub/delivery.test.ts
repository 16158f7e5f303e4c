/** Random days of a connection: commits, slow sockets, drains, attaches at any moment; the streams stay whole. */
import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { attach } from "../../src/hub/attach.ts";
import type { SessionId } from "../../src/lib/ids.ts";
import { LIMITS } from "../../src/protocol/limits.ts";
import { textItem, type HeldRun } from "../conformance/drive.ts";
import { settle } from "../handlers/virtual-clock.ts";
import { createSetup, type Setup } from "./setup.ts";

type Step =
  | { readonly do: "write"; readonly job: number; readonly texts: number; readonly index: number }
  | { readonly do: "end"; readonly job: number; readonly how: "succeed" | "fail" | "cancel" }
  /** What the socket answers to the next frames: a number of good ones, then -1. */
  | { readonly do: "clog"; readonly after: number }
  | { readonly do: "drain" }
  | { readonly do: "attach"; readonly job: number; readonly back: number }
  | { readonly do: "detach"; readonly job: number }
  | { readonly do: "turn" };

const job = fc.nat({ max: 2 });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant("write" as const),
      job,
      texts: fc.integer({ min: 1, max: 4 }),
      index: fc.nat({ max: 1 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("end" as const),
      job,
      how: fc.constantFrom("succeed" as const, "fail" as const, "cancel" as const),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("clog" as const), after: fc.nat({ max: 3 }) }) },
  { weight: 3, arbitrary: fc.constant({ do: "drain" as const }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("attach" as const), job, back: fc.nat({ max: 4 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("detach" as const), job }) },
  { weight: 4, arbitrary: fc.constant({ do: "turn" as const }) },
);

/** What a client makes of the frames of one job: where it stands, and every entry it has. */
interface Reader {
  at: number | null;
}

/** Reads the frames that came since the last time; a gap or a repeat after an `attached` is an error. */
function createClient(taken: readonly (string | Uint8Array)[]): {
  readonly read: () => void;
  readonly readers: Map<string, Reader>;
} {
  const readers = new Map<string, Reader>();
  let done = 0;
  return {
    readers,
    read() {
      for (; done < taken.length; done += 1) {
        const frame = JSON.parse(String(taken[done])) as {
          type: string;
          job: string;
          after: number;
          first?: number;
          seq: number;
          output?: { seq: number };
        };
        const reader = readers.get(frame.job) ?? { at: 0 };
        readers.set(frame.job, reader);
        if (frame.type === "attached") reader.at = frame.output?.seq ?? frame.after;
        else if (frame.type === "event") {
          expect({ job: frame.job, first: frame.first ?? frame.seq }).toEqual({
            job: frame.job,
            first: (reader.at ?? -1) + 1,
          });
          reader.at = frame.seq;
        }
      }
    },
  };
}

async function act(
  given: Step,
  setup: Setup,
  runs: HeldRun[],
  { connection, socket }: ReturnType<Setup["seated"]>,
) {
  const { on, hub, store } = setup;
  const run = "job" in given ? runs[given.job] : undefined;
  switch (given.do) {
    case "write": {
      if (run === undefined) return;
      const items = Array.from({ length: given.texts }, () => textItem("x", given.index));
      await on.execute("append", { id: run.id, lease: run.lease, items, jobBytes: LIMITS.jobBytes });
      return;
    }
    case "end": {
      if (run === undefined) return;
      if (given.how === "cancel") await on.cancel(run.id);
      else if (given.how === "succeed") await on.succeed(run);
      else if ((await on.fail(run)) === "retrying") runs[given.job] = await on.again(run.id);
      return;
    }
    case "clog":
      socket.answers.push(...Array.from({ length: given.after }, () => 1), -1);
      return;
    case "drain":
      socket.answers.length = 0;
      connection.drained();
      return;
    case "attach": {
      if (run === undefined) return;
      const { head } = await on.job(run.id);
      await attach(hub, store, connection, { job: run.id, after: Math.max(0, head - given.back) });
      return;
    }
    case "detach": {
      const attachment = run === undefined ? undefined : connection.attachments.get(run.id);
      if (attachment !== undefined) connection.detach(attachment);
      return;
    }
    case "turn":
      await new Promise((resolve) => setImmediate(resolve));
  }
}

test("a stream has no hole and no repeat, whatever the socket and the client do", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60, size: "max" }), async (steps) => {
      const setup = createSetup();
      const { on } = setup;
      const seat = setup.seated();
      const client = createClient(seat.socket.taken);
      const runs: HeldRun[] = [];
      // Two jobs of the session, which flow by themselves, and one of another.
      for (const session of ["session-1", "session-1", "session-2"] as SessionId[]) {
        runs.push(await on.started({ sessionId: session, maxAttempts: 20 }));
      }
      let asked = Promise.resolve();
      for (const given of steps) {
        // What a client asks for overlaps with what is committed, and is answered in the order in which it was asked.
        if (given.do === "attach" || given.do === "detach")
          asked = asked.then(() => act(given, setup, runs, seat));
        else await act(given, setup, runs, seat);
        client.read();
      }
      await asked;
      seat.socket.answers.length = 0;
      seat.connection.drained();
      await settle();
      client.read();
      // Whoever is still attached has everything; so has whoever saw the end.
      for (const { id } of runs) {
        const { head } = await on.job(id);
        const reader = client.readers.get(id);
        if (seat.connection.attachments.has(id)) expect(reader?.at).toBe(head);
        else if (reader?.at !== undefined && reader.at !== null) expect(reader.at).toBeLessThanOrEqual(head);
      }
      expect(seat.socket.closes).toEqual([]);
      expect(setup.gaps).toEqual([]);
    }),
    { numRuns: 200 },
  );
});
