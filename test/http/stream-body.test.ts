/** The body of a followed log: as fast as its reader, given up when that stalls, and it lets go of everything at its end. */
import { expect, test } from "bun:test";
import { streamBody, type StreamBodyOptions } from "../../src/http/stream-body.ts";
import { createVirtualClock } from "../handlers/virtual-clock.ts";

const STALLED_MS = 30_000;

function setup(options: Partial<StreamBodyOptions<number>> = {}) {
  const clock = createVirtualClock();
  const seen = { read: 0, released: 0, stalled: 0, ended: 0 };
  async function* count(): AsyncGenerator<number> {
    try {
      for (;;) {
        seen.read += 1;
        yield seen.read;
      }
    } finally {
      seen.released += 1;
    }
  }
  const body = streamBody({
    pages: count(),
    encode: (page) => `${page};`,
    opening: "",
    mayGoOn: () => Promise.resolve(true),
    clock,
    stalledMs: STALLED_MS,
    onStalled: () => {
      seen.stalled += 1;
    },
    onEnd: () => {
      seen.ended += 1;
    },
    ...options,
  });
  const reader = body.getReader();
  const decoder = new TextDecoder();
  const read = async (): Promise<string | null> => {
    const { done, value } = await reader.read();
    return done ? null : decoder.decode(value);
  };
  return { clock, seen, reader, read };
}

test("nothing is read ahead of a reader that does not ask", async () => {
  const { seen, read } = setup();
  expect(await read()).toBe("1;");
  expect(await read()).toBe("2;");
  for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  expect(seen.read).toBe(2);
});

test("a reader that leaves a page lying is given up, and what was held for it is let go", async () => {
  const { clock, seen, read } = setup();
  await read();
  await clock.advance(STALLED_MS - 1);
  expect(seen.stalled).toBe(0);
  expect(await read()).toBe("2;");
  await clock.advance(STALLED_MS - 1);
  expect(seen.stalled).toBe(0);
  await clock.advance(1);
  expect(seen).toEqual({ read: 2, released: 1, stalled: 1, ended: 1 });
  expect(await read()).toBeNull();
  expect(seen).toEqual({ read: 2, released: 1, stalled: 1, ended: 1 });
});

test("a reader that goes away between two pages leaves nothing behind", async () => {
  const { clock, seen, read, reader } = setup();
  await read();
  await reader.cancel();
  await Promise.resolve();
  expect(seen).toEqual({ read: 1, released: 1, stalled: 0, ended: 1 });
  await clock.advance(STALLED_MS);
  expect(seen.stalled).toBe(0);
});

test("who may not go on is shown nothing of the next page", async () => {
  let allowed = true;
  const { seen, read } = setup({ mayGoOn: () => Promise.resolve(allowed) });
  expect(await read()).toBe("1;");
  allowed = false;
  expect(await read()).toBeNull();
  expect(seen).toMatchObject({ released: 1, ended: 1 });
});
