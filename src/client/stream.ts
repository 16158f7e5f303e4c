/** Async iteration over what is pushed, so that `for await` loses nothing between two turns of its loop. */

export interface Stream<Item> {
  push(item: Item): void;
  /** Ends every iterator after what it still holds; with an error, that is thrown then. */
  end(error?: Error): void;
  /** An iterator over what is pushed from now on. What its loop has not taken yet waits in memory. */
  iterate(): AsyncIterableIterator<Item>;
}

interface Reader<Item> {
  readonly held: Item[];
  wake: (() => void) | null;
}

export function createStream<Item>(): Stream<Item> {
  const readers = new Set<Reader<Item>>();
  let ended: { readonly error: Error | undefined } | null = null;

  async function* read(reader: Reader<Item>): AsyncGenerator<Item, void> {
    try {
      for (;;) {
        const items = reader.held.splice(0);
        for (const item of items) yield item;
        if (reader.held.length > 0) continue;
        if (ended !== null) break;
        await new Promise<void>((resolve) => {
          reader.wake = resolve;
        });
      }
    } finally {
      readers.delete(reader);
    }
    if (ended?.error !== undefined) throw ended.error;
  }
  function wake(reader: Reader<Item>): void {
    reader.wake?.();
    reader.wake = null;
  }

  return {
    push(item) {
      for (const reader of readers) {
        reader.held.push(item);
        wake(reader);
      }
    },
    end(error) {
      ended ??= { error };
      for (const reader of readers) wake(reader);
    },
    iterate() {
      const reader: Reader<Item> = { held: [], wake: null };
      readers.add(reader);
      return read(reader);
    },
  };
}
