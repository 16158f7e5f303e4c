/** Where the `tokens` demonstration appears: how many and how fast, and the last line of it. */
import type { ClientClock } from "../client/index.ts";
import { beforePaint, make } from "./dom.ts";
import type { ReplyBody } from "./reply-body.ts";
import { count } from "./words.ts";

export interface TokensBody extends ReplyBody {
  /** So many of them have come. */
  counted(tokens: number): void;
}

const TAIL_CHARS = 240;

export function createTokensBody(total: number, clock: ClientClock): TokensBody {
  const element = make("div", "tokens");
  const figure = make("p", "tokens__figure");
  const number = make("strong", "tokens__number", "0");
  const rate = make("span", "tokens__rate");
  const bar = make("progress", "tokens__bar");
  const tail = make("p", "tokens__tail");
  const marks = make("div", "tokens__marks");
  bar.max = total;
  bar.setAttribute("aria-label", "Tokens received");
  figure.append(number, ` of ${count(total)} tokens`, rate);
  element.append(figure, bar, tail, marks);

  let text = "";
  let tokens = 0;
  let firstAtMs = 0;
  let lastAtMs = 0;
  const draw = beforePaint(() => {
    number.textContent = count(tokens);
    bar.value = tokens;
    tail.textContent = text.slice(-TAIL_CHARS);
    const tookMs = lastAtMs - firstAtMs;
    rate.textContent = tokens > 1 && tookMs > 0 ? `${count((tokens / tookMs) * 1000)} a second` : "";
  });

  return {
    element,
    append(delta) {
      text = (text + delta).slice(-TAIL_CHARS);
      draw();
    },
    counted(now) {
      const nowMs = clock.steadyMs();
      if (tokens === 0) firstAtMs = nowMs;
      tokens = now;
      lastAtMs = nowMs;
      draw();
    },
    clear() {
      text = "";
      tokens = 0;
      draw();
    },
    replace(next) {
      text = next.slice(-TAIL_CHARS);
      draw();
    },
    mark(mark) {
      marks.append(mark);
    },
  };
}
