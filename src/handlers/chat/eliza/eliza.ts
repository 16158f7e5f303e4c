/**
 * The chat engine inside the package: a small rule-based one in the manner of Joseph Weizenbaum's ELIZA (Communications
 * of the ACM, January 1966), so that `chat` and `voice` answer without a network or a key. It is no language model and
 * says so.
 */
import { sleep, type Clock } from "../../../lib/clock.ts";
import type { ChatEngine } from "../engine.ts";
import { respond } from "./respond.ts";
import { compileScript } from "./rules.ts";
import { SCRIPT } from "./script.ts";

export const ELIZA_MODEL = "holdline-eliza-1";

/** A pace at which one can watch the words come. */
const WORD_MS = 25;

/** Writes word by word, each with the blank that follows it; `maxTokens` counts words. Uses no network. */
export function createElizaEngine(options: { readonly clock: Clock }): ChatEngine {
  const script = compileScript(SCRIPT);
  return {
    upstream: false,
    async generate(request, write) {
      const words = respond(script, request.messages).match(/\S+\s*/g) ?? [];
      const length = Math.min(words.length, request.maxTokens ?? words.length);
      for (const [index, word] of words.slice(0, length).entries()) {
        await sleep(options.clock, WORD_MS, request.signal);
        await write(index === length - 1 ? word.trimEnd() : word);
      }
      return { model: ELIZA_MODEL, finishReason: length < words.length ? "length" : "stop" };
    },
  };
}
