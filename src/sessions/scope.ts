/** What a token is narrowed to: lists of names, as claims of users and scopes of machines have them. */

/** Whether `name` is allowed by a list of names, `*` at the end of one standing for any rest; null allows all. */
export function isAllowed(list: readonly string[] | null, name: string): boolean {
  if (list === null) return true;
  return list.some((one) => (one.endsWith("*") ? name.startsWith(one.slice(0, -1)) : one === name));
}
