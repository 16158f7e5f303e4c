/** What a body begins with that should be raw samples: some servers send what they like better, and noise is played at full volume. */

/** `raw`: nothing that says otherwise. */
export type SoundHead = "wav" | "compressed" | "raw";

/** How files of compressed sound begin that no sensible samples begin with: Ogg, FLAC, and the tag before most MP3. */
const SIGNATURES = ["OggS", "fLaC", "ID3"];
/** Twelve set bits begin a frame of MPEG audio, and may be a sample as well: its Content-Type has to say so too. */
const MPEG_TYPE = /mpeg|mp3|aac/iu;

/** null while there are too few bytes to tell. */
export function soundHead(bytes: Uint8Array, contentType: string): SoundHead | null {
  const text = Buffer.from(bytes.subarray(0, 12)).toString("latin1");
  const [first = 0, second = 0] = bytes;
  if (text.length < 4) return null;
  const isMpegFrame = first === 0xff && (second & 0xe0) === 0xe0 && MPEG_TYPE.test(contentType);
  if (isMpegFrame || SIGNATURES.some((signature) => text.startsWith(signature))) return "compressed";
  if (!text.startsWith("RIFF")) return "raw";
  if (text.length < 12) return null;
  return text.endsWith("WAVE") ? "wav" : "raw";
}
