/**
 * `toMatchObject` without its side effect: in Bun it writes the matchers (`expect.any(…)`) into the value it looks at,
 * so whatever a test reads from it afterwards is a matcher.
 */
import { expect } from "bun:test";

/** The value has at least these members; it stays as it is. */
export function expectShape(value: unknown, shape: Record<string, unknown> | unknown[]): void {
  expect(structuredClone(value)).toMatchObject(shape);
}
