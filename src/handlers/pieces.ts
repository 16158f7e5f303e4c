/**
 * Cuts the text of an upstream into pieces that may be logged: JSON escapes can split a surrogate pair between two
 * chunks and a chunk can be of any size, but a delta is whole code points and at most 64 KiB (PROTOCOL section 5).
 */

/** UTF-16 units of one piece: three bytes each at most, so 60 KiB of the 64. */
const PIECE_UNITS = 20 * 1024;

const isHighSurrogate = (unit: number): boolean => unit >= 0xd800 && unit <= 0xdbff;

export interface Pieces {
  /** What can be written now; half a code point at the end is kept for the next call. */
  push(text: string): string[];
  /** What was kept: half a code point whose other half never came, as U+FFFD. */
  end(): string[];
}

/** Starts with nothing kept. Halves of code points inside the text become U+FFFD. */
export function createPieces(): Pieces {
  let kept = "";
  return {
    push(text) {
      const pieces: string[] = [];
      const whole = kept + text;
      const end = whole.length - (isHighSurrogate(whole.charCodeAt(whole.length - 1)) ? 1 : 0);
      kept = whole.slice(end);
      for (let at = 0; at < end;) {
        let next = Math.min(at + PIECE_UNITS, end);
        if (next < end && isHighSurrogate(whole.charCodeAt(next - 1))) next -= 1;
        pieces.push(whole.slice(at, next).toWellFormed());
        at = next;
      }
      return pieces;
    },
    end() {
      const pieces = kept === "" ? [] : [kept.toWellFormed()];
      kept = "";
      return pieces;
    },
  };
}
