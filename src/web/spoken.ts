/** Reads an answer to screen readers sentence by sentence, while it is being written. */

export interface Spoken {
  add(delta: string): void;
  /** Says what is left of the last sentence. */
  end(): void;
  /** What was not said yet is void. */
  clear(): void;
}

const SENTENCE = /^[\s\S]*?[.!?…:](?=\s)/;

/** `region` is an element with `aria-live`. */
export function createSpoken(region: HTMLElement): Spoken {
  let held = "";
  return {
    add(delta) {
      held += delta;
      let said = "";
      for (let match = SENTENCE.exec(held); match !== null; match = SENTENCE.exec(held)) {
        said += match[0];
        held = held.slice(match[0].length);
      }
      if (said !== "") region.textContent = said.trim();
    },
    end() {
      if (held.trim() !== "") region.textContent = held.trim();
      held = "";
    },
    clear() {
      held = "";
    },
  };
}
