/** What a promise fails with, as a value that a test can look at. */

/** The error that `promise` rejects with; throws when it does not. */
export async function failureOf(promise: Promise<unknown>): Promise<Error> {
  const settled = await promise.then(
    () => null,
    (error: unknown) => error as Error,
  );
  if (settled === null) throw new Error("it did not fail");
  return settled;
}
