/** The voice of the page: one answer is heard at a time, through an audio context that a click has started. */
import { createPcmPlayer, type JobHandle, type PcmPlayer } from "../client/index.ts";

/** How far one answer's sound is; both in seconds. */
export interface Heard {
  received: number;
  played: number;
}

export interface Voice {
  /** Starts the sound: browsers allow it only inside a click or key press. */
  wake(): void;
  /** Plays the audio of a job from after entry `after` on; its first sound silences the answer before. */
  follow(job: JobHandle, after: number): Heard;
  /** Plays a finished answer's sound file. */
  playFile(file: Blob): void;
  silence(): void;
}

const BYTES_PER_SAMPLE = 2;

/** `button` switches the sound; it also says when the browser waits for a click. */
export function createVoice(button: HTMLButtonElement): Voice {
  let context: AudioContext | null = null;
  let player: PcmPlayer | null = null;
  let file: HTMLAudioElement | null = null;
  let muted = false;

  function show(): void {
    const waits = context?.state === "suspended" && (player?.framesScheduled ?? 0) > 0;
    button.setAttribute("aria-pressed", String(!muted));
    button.classList.toggle("button--waits", waits);
    button.title = waits ? "Press to hear it" : muted ? "Sound is off" : "Sound is on";
    button.ariaLabel = waits ? "Press to hear it" : "Sound";
    // For whoever wants to know that sound really flows: sample frames scheduled, seconds the context has run.
    button.dataset["frames"] = String(player?.framesScheduled ?? 0);
    button.dataset["seconds"] = String(context?.currentTime ?? 0);
  }
  function open(): AudioContext {
    if (context === null) {
      context = new AudioContext();
      context.addEventListener("statechange", show);
    }
    return context;
  }
  function wake(): void {
    const opened = open();
    // A browser that still waits for a click refuses; the button then says so.
    if (opened.state === "suspended") opened.resume().then(show, show);
    show();
  }
  function silence(): void {
    player?.drop();
    player = null;
    if (file !== null) {
      file.pause();
      URL.revokeObjectURL(file.src);
      file = null;
    }
    show();
  }

  button.addEventListener("click", () => {
    if (context?.state === "suspended") {
      wake();
      return;
    }
    muted = !muted;
    player?.setMuted(muted);
    if (file !== null) file.muted = muted;
    show();
  });

  return {
    wake,
    silence,
    follow(job, after) {
      let mine: PcmPlayer | null = null;
      let received = 0;
      function begin(): PcmPlayer {
        if (mine !== null) return mine;
        silence();
        mine = createPcmPlayer(open());
        mine.setMuted(muted);
        player = mine;
        return mine;
      }
      job.on("audio", ({ bytes, format, seq }) => {
        if (format === null) return;
        received += bytes.byteLength / (BYTES_PER_SAMPLE * format.channels * format.sampleRate);
        // What was heard before a reload is not said again; neither does an answer go on that gave way to another.
        if (seq > after && (mine === null || mine === player)) begin().play(bytes, format);
        show();
      });
      job.on("reset", () => {
        received = 0;
        mine?.drop();
      });
      job.on("silenced", () => mine?.drop());
      return {
        get received() {
          return received;
        },
        get played() {
          return mine !== null && mine === player ? Math.max(0, received - mine.aheadSeconds) : received;
        },
      };
    },
    playFile(blob) {
      silence();
      file = new Audio(URL.createObjectURL(blob));
      file.muted = muted;
      file.play().catch(show);
    },
  };
}
