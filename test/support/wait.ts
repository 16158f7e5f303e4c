/** Waiting in tests: always for something, always with a limit, and with a message that says what did not happen. */

export const DEFAULT_LIMIT_MS = 10_000;

/** The promise's value, or an error naming `what` after `limitMs`. */
export async function within<Value>(
  what: string,
  promise: Promise<Value>,
  limitMs: number = DEFAULT_LIMIT_MS,
): Promise<Value> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const limit = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${limitMs} ms in vain for ${what}`)), limitMs);
  });
  try {
    return await Promise.race([promise, limit]);
  } finally {
    clearTimeout(timer);
  }
}

/** Asks again and again until the answer is neither null, undefined nor false; for what no frame announces. */
export async function until<Value>(
  what: string,
  probe: () => Value | Promise<Value>,
  limitMs: number = DEFAULT_LIMIT_MS,
): Promise<Exclude<Value, null | undefined | false>> {
  const deadline = performance.now() + limitMs;
  for (;;) {
    const value = await probe();
    if (value !== null && value !== undefined && value !== false) {
      return value as Exclude<Value, null | undefined | false>;
    }
    if (performance.now() > deadline) throw new Error(`waited ${limitMs} ms in vain for ${what}`);
    await Bun.sleep(10);
  }
}

/**
 * Lets real time go by. Only for rules that are about time itself and that nothing announces (an expiry which every
 * question would postpone, a server that is down); never to give somebody "enough" time.
 */
export function letTimePass(durationMs: number): Promise<void> {
  return Bun.sleep(durationMs);
}
