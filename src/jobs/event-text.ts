/** One entry of a log as JSON text, for HTTP and for whoever else speaks no binary. */
import type { JobId } from "../lib/ids.ts";
import { isTerminalKind } from "../protocol/events.ts";
import type { StoredEvent } from "./job.ts";

/** Put together from the text the store keeps; bytes become base64. */
export function toEventText(job: JobId, event: StoredEvent): string {
  const data = typeof event.data === "string" ? event.data : `{"bytes":"${event.data.toBase64()}"}`;
  const terminal = isTerminalKind(event.kind) ? ',"terminal":true' : "";
  return `{"job":"${job}","seq":${event.seq},"attempt":${event.attempt},"at":${event.at},"kind":"${event.kind}","data":${data}${terminal}}`;
}
