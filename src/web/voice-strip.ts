/** Draws the voice of an answer as it comes in: a row of bars as high as the sound is loud, filled as far as it was heard. */
import { beforePaint, make } from "./dom.ts";
import type { Heard } from "./player.ts";

export interface VoiceStrip {
  readonly element: HTMLElement;
  push(bytes: Uint8Array, replayed: boolean): void;
  clear(): void;
}

interface Bar {
  peak: number;
  replayed: boolean;
}

const MOST_BARS = 96;

/** A strip for the sound `heard` tells of; hidden until there is any. */
export function createVoiceStrip(heard: Heard): VoiceStrip {
  const element = make("div", "strip");
  element.hidden = true;
  element.setAttribute("aria-hidden", "true");
  let bars: Bar[] = [];
  /** Chunks a bar stands for: doubles whenever the strip is full. */
  let chunksPerBar = 1;
  let chunks = 0;
  const draw = beforePaint(() => {
    element.hidden = bars.length === 0;
    while (element.childElementCount > bars.length) element.lastElementChild?.remove();
    while (element.childElementCount < bars.length) element.append(make("span", "strip__bar"));
    const filled = heard.received === 0 ? 0 : (heard.played / heard.received) * bars.length;
    for (const [index, child] of [...element.children].entries()) {
      const bar = bars[index];
      if (bar === undefined || !(child instanceof HTMLElement)) continue;
      child.style.setProperty("--peak", bar.peak.toFixed(3));
      child.classList.toggle("strip__bar--played", index < filled);
      child.classList.toggle("strip__bar--replayed", bar.replayed);
    }
    // Keeps moving while there is sound that was not heard yet.
    if (heard.played < heard.received - 0.01 && element.isConnected) draw();
  });

  return {
    element,
    push(bytes, replayed) {
      const peak = peakOf(bytes);
      const last = bars.at(-1);
      if (last !== undefined && chunks % chunksPerBar !== 0) last.peak = Math.max(last.peak, peak);
      else bars.push({ peak, replayed });
      chunks += 1;
      if (bars.length > MOST_BARS) {
        bars = halve(bars);
        chunksPerBar *= 2;
      }
      draw();
    },
    clear() {
      bars = [];
      chunks = 0;
      chunksPerBar = 1;
      draw();
    },
  };
}

function halve(bars: readonly Bar[]): Bar[] {
  const halved: Bar[] = [];
  for (let index = 0; index < bars.length; index += 2) {
    const [first, second] = [bars[index], bars[index + 1]];
    if (first === undefined) break;
    halved.push({
      peak: Math.max(first.peak, second?.peak ?? 0),
      replayed: first.replayed || (second?.replayed ?? false),
    });
  }
  return halved;
}

/** The loudest of some of the chunk's 16-bit samples, 0 to 1, as the ear rather than the number sees it. */
function peakOf(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let peak = 0;
  for (let at = 0; at + 1 < bytes.byteLength; at += 16) {
    peak = Math.max(peak, Math.abs(view.getInt16(at, true)));
  }
  return Math.sqrt(peak / 32_768);
}
