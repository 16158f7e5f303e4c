/** The mark an answer keeps where it was interrupted: from where it went on, how much was replayed, what was lost. */
import type { JobHandle } from "../client/index.ts";
import { make } from "./dom.ts";
import { count, several } from "./words.ts";

export interface CutMarks {
  /** The connection went: marks the place in the answer, unless it is marked already. */
  cut(): void;
  /** The page was loaded anew: everything that comes until now is a replay. */
  reloaded(): void;
}

interface Break {
  readonly mark: HTMLElement;
  readonly at: number;
  readonly reload: boolean;
}

/** Watches one job; `place` puts a mark where the answer has got to. */
export function createCutMarks(job: JobHandle, place: (mark: HTMLElement) => void): CutMarks {
  let open: Break | null = null;
  let catchUp: (Break & { readonly head: number }) | null = null;
  let gaps = 0;
  let frames = 0;

  function report(): void {
    if (catchUp === null || job.cursor < catchUp.head) return;
    const { mark, at, head, reload } = catchUp;
    catchUp = null;
    const events = head - at;
    const folded = frames > 0 && frames < events ? ` in ${several(frames, "frame")}` : "";
    const lost = gaps === 0 ? "nothing lost" : `${several(gaps, "gap")} asked for again, nothing lost`;
    const what = reload ? "page reloaded" : `resumed after ${count(at)}`;
    mark.textContent = `${what} · ${several(events, "event")} replayed${folded} · ${lost}`;
    mark.dataset["after"] = String(at);
    mark.dataset["replayed"] = String(events);
    mark.classList.add("cut-mark--joined");
  }
  job.on("gap", () => {
    gaps += 1;
  });
  job.on("attached", ({ after, head, recovered }) => {
    if (open === null) return;
    const { mark, at, reload } = open;
    open = null;
    if (!recovered) {
      mark.textContent = `the log from ${count(at)} on is gone · the answer so far was fetched anew`;
      mark.classList.add("cut-mark--joined");
      return;
    }
    frames = 0;
    catchUp = { mark, at: after, head, reload };
    report();
  });
  job.on("event", (event) => {
    if (catchUp === null) return;
    if ("replayed" in event && event.replayed) frames += 1;
    report();
  });

  function begin(text: string, reload: boolean): void {
    // Cut again before it had caught up: one mark tells of both.
    const mark = open?.mark ?? catchUp?.mark ?? make("span", "cut-mark");
    if (open === null && catchUp === null) place(mark);
    catchUp = null;
    open = { mark, at: job.cursor, reload };
    mark.textContent = text;
  }
  return {
    cut: () => begin(`cut after ${count(job.cursor)}`, false),
    reloaded: () => begin("page reloaded", true),
  };
}
