/** How a promise of a contract becomes a test of a driver: on a store of its own, which is closed whatever comes of it. */
import { test } from "bun:test";

/** Declares the test of one promise; `body` is handed what the suite is about. */
export type Check<Given> = (promise: string, body: (given: Given) => Promise<void>) => void;

/** `open` is called once for each test; `given` says what of it the tests are handed. */
export function createCheck<Opened extends { close(): Promise<void> }, Given>(
  open: () => Promise<Opened>,
  given: (opened: Opened) => Given,
): Check<Given> {
  return (promise, body) => {
    test(promise, async () => {
      const opened = await open();
      try {
        await body(given(opened));
      } finally {
        await opened.close();
      }
    });
  };
}
