/** The simplest commands: each is a call of one of a store's writing methods, carried to the writer and back. */
import type { Writer } from "./writer.ts";

export interface Call {
  readonly call: string;
  readonly given: readonly unknown[];
}

/** The methods of these names, each as an errand to the writer. */
export function createCalls<Writes>(
  writer: Writer,
  to: string,
  names: readonly (keyof Writes & string)[],
): Writes {
  const send =
    (call: string) =>
    (...given: readonly unknown[]) =>
      writer.write(to, { call, given } satisfies Call);
  return Object.fromEntries(names.map((name) => [name, send(name)])) as Writes;
}
