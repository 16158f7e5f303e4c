/** A queue a test can await: what came before it was asked for is kept, in order. */
export interface Inbox<Item> {
  put(item: Item): void;
  take(): Promise<Item>;
  /** How many items wait to be taken. */
  readonly size: number;
}

export function createInbox<Item>(): Inbox<Item> {
  const items: Item[] = [];
  const takers: ((item: Item) => void)[] = [];
  return {
    put(item) {
      const taker = takers.shift();
      if (taker === undefined) items.push(item);
      else taker(item);
    },
    take() {
      const item = items.shift();
      if (item !== undefined) return Promise.resolve(item);
      return new Promise((resolve) => takers.push(resolve));
    },
    get size() {
      return items.length;
    },
  };
}
