/** Finds what looks like a JWT in a line of the log, in one pass whatever the line is. */

/** What stands in a line in place of a secret. */
export const HIDDEN = "***";

/** 1 where a character code is base64url, 2 where it is the hyphen, after which a word may begin all the same. */
const BASE64URL = new Uint8Array(128);
for (const letter of "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_")
  BASE64URL[letter.charCodeAt(0)] = 1;
BASE64URL["-".charCodeAt(0)] = 2;

const classAt = (line: string, index: number): number => BASE64URL[line.charCodeAt(index)] ?? 0;

/** Index behind the last character of base64url from `from` on. */
function partEnd(line: string, from: number): number {
  let index = from;
  while (index < line.length && classAt(line, index) > 0) index += 1;
  return index;
}

/** Characters of the shortest header and payload of a JWT, `eyJ` included. */
const LEAST_HEADER = 11;
const LEAST_PAYLOAD = 2;

/**
 * Replaces every `eyJ….….…` that begins a word. Not with a pattern: that would look again from every `eyJ` of a long
 * line which never has its dots (4 minutes for a megabyte). Here a part that was passed is not looked at again.
 */
function hideTokens(line: string): string {
  let hidden = "";
  let copied = 0;
  for (let start = line.indexOf("eyJ"); start !== -1;) {
    let next = start + 1;
    if (start === 0 || classAt(line, start - 1) !== 1) {
      const header = partEnd(line, start);
      const payload = line[header] === "." ? partEnd(line, header + 1) : header;
      const longEnough = header - start >= LEAST_HEADER && payload - header > LEAST_PAYLOAD;
      next = header;
      if (longEnough && line[payload] === ".") {
        hidden += line.slice(copied, start) + HIDDEN;
        next = partEnd(line, payload + 1);
        copied = next;
      }
    }
    start = line.indexOf("eyJ", next);
  }
  return hidden + line.slice(copied);
}

/**
 * The text up to where a token may begin that its end cuts through: without its last part it would not look like one
 * any more, and show what it says.
 */
export function withoutCutToken(text: string): string {
  let word = text.length;
  while (word > 0 && (classAt(text, word - 1) > 0 || text[word - 1] === ".")) word -= 1;
  const token = text.indexOf("eyJ", word);
  return token === -1 ? text : text.slice(0, token);
}

/** Replaces whatever looks like a JWT; most lines hold none, which is found out without a pattern. */
export function withoutTokens(line: string): string {
  return line.includes("eyJ") ? hideTokens(line) : line;
}
