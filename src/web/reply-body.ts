/** Where the text of an answer appears, word by word, with the marks of every cut in its place. */
import { beforePaint, make } from "./dom.ts";

export interface ReplyBody {
  readonly element: HTMLElement;
  append(delta: string, replayed: boolean): void;
  /** All of it is void. */
  clear(): void;
  replace(text: string): void;
  /** Puts a mark where the text has got to. */
  mark(element: HTMLElement): void;
}

/** Text that fades in as it arrives. What was replayed is tinted for a while, so that one sees where the line was joined. */
export function createTextBody(): ReplyBody {
  const element = make("div", "reply__text");
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  let waiting: { text: string; readonly replayed: boolean }[] = [];

  function flush(): void {
    for (const { text, replayed } of waiting) {
      if (calm.matches) {
        element.append(text);
        continue;
      }
      const span = make("span", replayed ? "word word--replayed" : "word", text);
      span.addEventListener("animationend", () => settle(span));
      element.append(span);
    }
    waiting = [];
  }
  const flushSoon = beforePaint(flush);

  return {
    element,
    append(delta, replayed) {
      const last = waiting.at(-1);
      if (last?.replayed === replayed) last.text += delta;
      else waiting.push({ text: delta, replayed });
      flushSoon();
    },
    clear() {
      waiting = [];
      element.replaceChildren();
    },
    replace(text) {
      waiting = [];
      element.replaceChildren(text);
    },
    mark(mark) {
      flush();
      element.append(mark);
    },
  };
}

/** A word that has faded in becomes plain text again: a long answer must not be a thousand elements. */
function settle(span: HTMLElement): void {
  const before = span.previousSibling;
  if (before instanceof Text) {
    before.appendData(span.textContent ?? "");
    span.remove();
  } else {
    span.replaceWith(span.textContent ?? "");
  }
}
