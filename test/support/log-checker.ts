/**
 * The product's own judge (src/cli/selftest), as tests call it: with frames and logs in the shapes that tests read, and
 * with complaints in words. Its rules have tests of their own in test/cli/selftest.
 */
import { expect } from "bun:test";
import { checkDeliveries as judgeDeliveries } from "../../src/cli/selftest/delivery-rules.ts";
import type { Flaw } from "../../src/cli/selftest/flaw.ts";
import { contentOf, contentOfBytes, type SeenEvent } from "../../src/cli/selftest/history.ts";
import { checkLog as judgeLog } from "../../src/cli/selftest/log-rules.ts";
import type { EventBody, ReceivedEvent } from "./wire.ts";

const inWords = (flaws: readonly Flaw[]): string[] => flaws.map(({ text }) => text);

/** What is wrong with a log that was read whole (from seq 1, over HTTP). `ended`: it must have its terminal event. */
export function checkLog(log: readonly EventBody[], ended = true): string[] {
  return inWords(judgeLog(log, ended));
}

/** What one connection received of one job, with the cursor it attached at (0 when attached by submitting). */
export interface Delivery {
  readonly after: number;
  readonly events: readonly ReceivedEvent[];
}

/** A received event as a load client writes it down. */
export function seen({ first, seq, attempt, kind, at, terminal, data, bytes }: ReceivedEvent): SeenEvent {
  const content = bytes === undefined ? contentOf(kind, data) : contentOfBytes(bytes);
  return { first, seq, attempt, kind, at, terminal, content };
}

/** What is wrong with the deliveries of one job: holes, repeats or disorder on one connection, content not as in the log. */
export function checkDeliveries(log: readonly EventBody[], deliveries: readonly Delivery[]): string[] {
  const histories = deliveries.map(({ after, events }, connection) => ({
    connection,
    after,
    events: events.map(seen),
  }));
  return inWords(judgeDeliveries(log, histories));
}

/** Fails with everything that is wrong with this ended log and what was delivered of it. */
export function expectWhole(log: readonly EventBody[], deliveries: readonly Delivery[] = []): void {
  expect([...checkLog(log), ...checkDeliveries(log, deliveries)]).toEqual([]);
}

/** All text of the last attempt in `log`. */
export function textOf(log: readonly EventBody[]): string {
  const from = log.findLastIndex((event) => event.kind === "output.reset");
  return log
    .slice(from + 1)
    .map((event) => (event.kind === "output.text" ? (event.data.delta ?? "") : ""))
    .join("");
}

/** Kinds in order, repeats run together: `["job.queued", "job.started", "output.text", "job.succeeded"]`. */
export function outline(log: readonly { readonly kind: string }[]): string[] {
  return log.map((event) => event.kind).filter((kind, index, kinds) => kind !== kinds[index - 1]);
}
