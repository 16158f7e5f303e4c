/** The job types that remote workers serve, as the registry knows them: what goes in, and that no process of ours runs them. */
import type { Json } from "../../protocol/events.ts";
import { jobTypeOf, type ConfiguredType } from "../configured.ts";
import type { AnyHandler } from "../handler.ts";

function createWorkerType(configured: ConfiguredType): AnyHandler {
  const run = (): Promise<Json> =>
    Promise.reject(new Error(`jobs of the type ${configured.type} are run by remote workers`));
  return { ...jobTypeOf(configured), remote: true, run };
}

/** One entry for each configured type that has no endpoint. */
export function createWorkerTypes(types: readonly ConfiguredType[]): readonly AnyHandler[] {
  return types.filter(({ http }) => http === null).map(createWorkerType);
}
