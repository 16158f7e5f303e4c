/** Whether what a client received over any number of connections is the log: no hole, no repeat, no other content. */
import type { Flaw, FlawKind } from "./flaw.ts";
import { contentOf, contentOfText, type Delivery, type LogEntry, type SeenEvent } from "./history.ts";
import { TERMINAL } from "./log-rules.ts";

type Say = (text: string, kind: FlawKind) => void;

/** Whether a received frame is what the log says of the entries it covers. */
function compareContent(log: readonly LogEntry[], event: SeenEvent, say: Say): void {
  const other = (text: string): void => say(text, "contradicted");
  const entries = log.slice(event.first - 1, event.seq);
  const first = entries[0];
  if (first === undefined || entries.length !== event.seq - event.first + 1) {
    other("is not in the log");
    return;
  }
  for (const entry of entries) {
    if (entry.kind !== event.kind) other(`is ${entry.kind} in the log`);
    if (entry.attempt !== event.attempt)
      other(`has attempt ${entry.attempt} in the log, not ${event.attempt}`);
  }
  if (event.terminal !== TERMINAL.has(event.kind)) other(`terminal is ${event.terminal}`);
  if (entries.length > 1) {
    if (event.kind !== "output.text") other("is folded though not text");
    const text = entries.map(({ data }) => data?.delta ?? "").join("");
    const index = first.data?.index ?? 0;
    if (contentOfText(text, index) !== event.content) other("has other text in the log");
    if (entries.some(({ data }) => (data?.index ?? 0) !== index)) other("folds texts of different index");
    return;
  }
  if (contentOf(first.kind, first.data) !== event.content)
    other(`has other data in the log: ${JSON.stringify(first.data)}`);
  if (event.at !== null && first.at !== event.at) other(`has at ${first.at} in the log, not ${event.at}`);
}

/** What is wrong with what one client received of one job, attachment by attachment. */
export function checkDeliveries(log: readonly LogEntry[], deliveries: readonly Delivery[]): Flaw[] {
  const flaws: Flaw[] = [];
  for (const { connection, after, events } of deliveries) {
    let cursor = after;
    for (const event of events) {
      const place = `connection ${connection}, seq ${event.first}…${event.seq} (${event.kind})`;
      const say: Say = (text, kind) => void flaws.push({ kind, text: `${place}: ${text}` });
      if (event.first !== cursor + 1)
        say(`follows seq ${cursor}`, event.first > cursor + 1 ? "gap" : "duplicated");
      cursor = event.seq;
      compareContent(log, event, say);
    }
  }
  return flaws;
}
