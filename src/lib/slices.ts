/** Long lists in parts: what is done with all of it gives way to others in between. */

/** The items in their order, at most `most` at a time. */
export function* slices<Item>(items: readonly Item[], most: number): Generator<readonly Item[]> {
  for (let from = 0; from < items.length; from += most) yield items.slice(from, from + most);
}
