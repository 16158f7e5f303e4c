/**
 * Speaks the sentences of a text that is still being written, one after the other, beside the writing. The text never
 * waits for it and never fails because of it: speech that fails is told once, and then there is text only.
 */
import type { Clock, Timer } from "../../lib/clock.ts";
import type { AudioFormat } from "../../protocol/events.ts";
import { upstreamFailure } from "../upstream.ts";
import { createWriteWindow } from "../write-window.ts";
import { JobError, type RunningJob } from "../handler.ts";
import { sampleBytesOf } from "../sound-chunks.ts";
import type { SpeechEngine, SpeechSink } from "./engine.ts";
import type { Place } from "./places.ts";

/** Text that may wait to be spoken, in UTF-16 units: more than an hour of speech. Past it the speaker gives up. */
export const WAITING_CHARS = 64 * 1024;
/** How long an upstream may be silent. */
export const SILENCE_MS = 20_000;
/** Never longer than this part of the job's own idle limit, which would end the text as well. */
const SILENCE_PART = 2 / 3;
const WRITES_IN_FLIGHT = 64;

export interface SpeakerOptions {
  readonly engine: SpeechEngine;
  readonly job: RunningJob;
  readonly voice?: string | undefined;
  /** Ends the speaking; to be aborted with the job's own. */
  readonly signal: AbortSignal;
  readonly clock: Clock;
  /** The job takes no more: its failure, not the speech's. Has to abort `signal`; may be called several times. */
  readonly onWriteError: (error: unknown) => void;
}

export interface Speaker {
  /** Takes the next sentence, which stands at `place` in the text, and returns at once. */
  say(sentence: string, place: Place): void;
  /**
   * No more sentences come. Resolves when all of them are spoken and committed, or speech has failed: the length of
   * what was spoken, and up to which UTF-16 unit of the text. Rejects when it could not be written or the signal was
   * aborted.
   */
  finish(): Promise<{ readonly durationMs: number; readonly spokenTo: number }>;
}

interface Waiting {
  readonly sentence: string;
  readonly place: Place;
}

/** A speaker for one run; it waits for its first sentence at once. */
export function createSpeaker(options: SpeakerOptions): Speaker {
  const { engine, job } = options;
  const writes = createWriteWindow(WRITES_IN_FLIGHT);
  const queue: Waiting[] = [];
  let waitingChars = 0;
  let durationMs = 0;
  let spokenTo = 0;
  /** Length of the sound so far, as a player of it counts. */
  let soundMs = 0;
  /** The sentence whose sound comes next; null once its place was told. */
  let begun: Place | null = null;
  let behind = false;
  let failed = false;
  let ended = false;
  let wake: () => void = () => undefined;
  let format: AudioFormat | null = null;

  const write = (started: Promise<void>): Promise<void> => {
    // The window tells of a failure when it is asked again, and between two sentences that may take long.
    started.catch(options.onWriteError);
    return writes.add(started);
  };

  const sink: SpeechSink = {
    async format(next) {
      // Every sentence is a request of its own, but one announcement does for all of them.
      if (format !== null && Bun.deepEquals(format, next)) return;
      // The log has one format for each run: another one is the speech's failure, and not the text's.
      if (format !== null) throw upstreamFailure("The format of the speech changed.");
      format = next;
      await write(job.audioFormat(next));
    },
    async audio(bytes) {
      if (begun !== null) {
        const { from, to } = begun;
        begun = null;
        await write(job.data({ speech: { from, to, startMs: Math.round(soundMs) } }));
      }
      if (format !== null) soundMs += (bytes.byteLength / sampleBytesOf(format) / format.sampleRate) * 1000;
      await write(job.audio(bytes));
    },
  };

  const giveUp = async (reason: string, cause: unknown = new Error(reason)): Promise<void> => {
    failed = true;
    queue.length = 0;
    job.log.warn({ reason, error: cause }, "speech failed; the text goes on");
    await write(job.data({ speech: { failed: reason } }));
  };

  const speak = async ({ sentence, place }: Waiting): Promise<void> => {
    const findings = engine.examine?.(sentence);
    for (const { sentence: skipped, reason } of findings?.refused ?? [])
      await write(job.data({ speech: { skipped, reason } }));
    if (findings?.speakable === false) return;
    begun = place;
    const watch = watchSilence(options, sink);
    try {
      const outcome = await engine.speak(
        {
          text: sentence,
          ...(options.voice === undefined ? {} : { voice: options.voice }),
          format: "pcm",
          signal: watch.signal,
          traceparent: job.traceparent,
        },
        watch.sink,
      );
      durationMs += outcome.durationMs ?? 0;
      spokenTo = place.to;
    } catch (error) {
      options.signal.throwIfAborted();
      await giveUp(error instanceof JobError ? error.message : "The speech engine failed.", error);
    } finally {
      watch.end();
    }
  };

  const moreToSay = (): Promise<void> =>
    new Promise((resolve) => {
      wake = resolve;
    });

  const work = async (): Promise<void> => {
    for (;;) {
      const next = queue.shift();
      if (failed || (next === undefined && ended)) return;
      if (behind) await giveUp("Speaking fell too far behind the text.");
      else if (next === undefined) await moreToSay();
      else {
        waitingChars -= next.sentence.length;
        await speak(next);
      }
    }
  };

  const done = work();
  done.catch(() => undefined); // told by onWriteError or the signal, and by finish

  return {
    say(sentence, place) {
      if (failed || behind) return;
      waitingChars += sentence.length;
      behind = waitingChars > WAITING_CHARS;
      queue.push({ sentence, place });
      wake();
    },
    async finish() {
      ended = true;
      wake();
      await done;
      await writes.drain();
      return { durationMs, spokenTo };
    },
  };
}

interface Watch {
  readonly signal: AbortSignal;
  readonly sink: SpeechSink;
  end(): void;
}

/** How long the engine may be silent; null: an engine of this process whose job has no limit of its own. */
function patienceMs({ engine, job }: SpeakerOptions): number | null {
  if (job.idleMs !== null) return Math.min(SILENCE_MS, job.idleMs * SILENCE_PART);
  return engine.upstream ? SILENCE_MS : null;
}

/** Ends a request that nothing was heard of for too long; the time that writing takes does not count. */
function watchSilence(options: SpeakerOptions, sink: SpeechSink): Watch {
  const { clock, engine, signal } = options;
  const silentMs = patienceMs(options);
  if (silentMs === null) return { signal, sink, end: () => undefined };
  const silence = new AbortController();
  const who = engine.upstream ? "upstream" : "engine";
  const listen = (): Timer =>
    clock.after(silentMs, () => silence.abort(upstreamFailure(`The speech ${who} fell silent.`)));
  let timer = listen();
  const heard = async (write: Promise<void>): Promise<void> => {
    timer.cancel();
    await write;
    timer = listen();
  };
  return {
    signal: AbortSignal.any([signal, silence.signal]),
    sink: {
      format: (format) => heard(sink.format(format)),
      audio: (bytes) => heard(sink.audio(bytes)),
    },
    end: () => timer.cancel(),
  };
}
