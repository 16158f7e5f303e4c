/** Query parameters: unknown ones are ignored, known ones are refused when they are not what they should be. */
import { isUuid, type JobId, type SessionId } from "../lib/ids.ts";
import { Refusal } from "../protocol/error.ts";

/** A whole number within bounds, or `preset` when absent. Over the bound is an error, not a clamp. */
export function intParameter(
  url: URL,
  name: string,
  bounds: { readonly least: number; readonly most: number; readonly preset: number },
): number {
  const text = url.searchParams.get(name);
  if (text === null) return bounds.preset;
  const value = Number(text);
  if (!/^\d{1,16}$/.test(text) || value < bounds.least || value > bounds.most) {
    const detail = `must be a whole number from ${bounds.least} to ${bounds.most}`;
    throw new Refusal("invalid_request", `The parameter ${name} ${detail}.`, {
      errors: [{ pointer: `/${name}`, detail }],
    });
  }
  return value;
}

/** One of the known words, or null when absent. */
export function choiceParameter<Choice extends string>(
  url: URL,
  name: string,
  choices: readonly Choice[],
): Choice | null {
  const text = url.searchParams.get(name);
  if (text === null) return null;
  const found = choices.find((choice) => choice === text);
  if (found !== undefined) return found;
  const detail = `must be one of ${choices.join(", ")}`;
  throw new Refusal("invalid_request", `The parameter ${name} ${detail}.`, {
    errors: [{ pointer: `/${name}`, detail }],
  });
}

const CURSOR_BYTES = 20;

/** An opaque place in a list: the id of the last item, with a checksum so that a mangled one is noticed. */
export function encodeCursor(id: JobId | SessionId): string {
  const bytes = new Uint8Array(CURSOR_BYTES);
  bytes.set(Uint8Array.fromHex(id.replaceAll("-", "")));
  new DataView(bytes.buffer).setUint32(16, Bun.hash.crc32(id));
  return bytes.toBase64({ alphabet: "base64url", omitPadding: true });
}

/** The id in a cursor; null when it is none. */
export function decodeCursor(text: string): string | null {
  let bytes: Uint8Array;
  try {
    bytes = Uint8Array.fromBase64(text, { alphabet: "base64url" });
  } catch {
    return null;
  }
  if (bytes.byteLength !== CURSOR_BYTES) return null;
  const hex = bytes.subarray(0, 16).toHex();
  const id = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join(
    "-",
  );
  const checksum = new DataView(bytes.buffer, bytes.byteOffset).getUint32(16);
  return isUuid(id) && Bun.hash.crc32(id) === checksum ? id : null;
}

/** The id in a cursor, or null when absent. Throws `invalid_cursor`. */
export function cursorParameter<Id extends JobId | SessionId = JobId>(url: URL, name: string): Id | null {
  const text = url.searchParams.get(name);
  if (text === null) return null;
  const id = decodeCursor(text);
  if (id !== null) return id as Id;
  throw new Refusal("invalid_cursor", `The parameter ${name} is not a cursor of this list.`);
}
