/**
 * Lets a producer run ahead of the disk, but not far: writes need not be awaited one by one for their order, yet the
 * number that is not committed must stay bounded, or a slow disk would fill the memory.
 */

export interface WriteWindow {
  /**
   * Takes a write that was just started. Resolves as soon as the next one may start; rejects with the error of the
   * first write that failed. For one producer: the next call comes after this one has resolved.
   */
  add(write: Promise<void>): Promise<void>;
  /** Resolves when everything taken so far is committed; rejects with the first failure. */
  drain(): Promise<void>;
}

interface Waiter {
  readonly below: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** A window of at most `most` writes in flight. */
export function createWriteWindow(most: number): WriteWindow {
  let inFlight = 0;
  let failure: { readonly error: unknown } | null = null;
  let waiter: Waiter | null = null;

  const answerWaiter = (): void => {
    if (waiter === null || (failure === null && inFlight >= waiter.below)) return;
    const { resolve, reject } = waiter;
    waiter = null;
    if (failure === null) resolve();
    else reject(failure.error);
  };

  const fewerThan = (below: number): Promise<void> =>
    new Promise((resolve, reject) => {
      waiter = { below, resolve, reject };
      answerWaiter();
    });

  return {
    add(write) {
      inFlight += 1;
      const settled = (): void => {
        inFlight -= 1;
        answerWaiter();
      };
      write.then(settled, (error: unknown) => {
        failure ??= { error };
        settled();
      });
      return fewerThan(most);
    },
    drain: () => fewerThan(1),
  };
}
