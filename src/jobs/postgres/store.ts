/** The PostgreSQL driver of `JobStore`: commands go to the one writer of this process, reads to a pool beside it. */
import type { Writer } from "../../database/writer.ts";
import { createWrites } from "../writes.ts";
import type { JobStore } from "../store.ts";
import type { JobReads } from "./reads.ts";

export function createPostgresJobStore(writer: Writer, reads: JobReads): JobStore {
  return { ...reads, ...createWrites(writer, (_command, change) => change) };
}
