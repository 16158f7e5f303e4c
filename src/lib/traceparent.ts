/** A trace of our own, where nobody handed one on (https://www.w3.org/TR/trace-context/, version 00, sampled). */
import type { Ids } from "./ids.ts";

export function freshTraceparent(ids: Ids, traceId: string = ids.hex(16)): string {
  return `00-${traceId}-${ids.hex(8)}-01`;
}
