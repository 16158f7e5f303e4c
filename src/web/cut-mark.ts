/** The mark an answer keeps where the connection broke: from where it went on, how much was replayed, what was lost. */
import type { JobHandle } from "../client/index.ts";
import { make } from "./dom.ts";
import { count, several } from "./words.ts";

export interface CutMarks {
  /** The connection went: marks the place in the answer, unless it is marked already. */
  cut(): void;
}

/** Watches one job; `place` puts a mark where the answer has got to. */
export function createCutMarks(job: JobHandle, place: (mark: HTMLElement) => void): CutMarks {
  let open: { readonly mark: HTMLElement; readonly at: number } | null = null;
  let catchUp: { readonly mark: HTMLElement; readonly at: number; readonly head: number } | null = null;
  let gaps = 0;
  let frames = 0;

  function report(): void {
    if (catchUp === null || job.cursor < catchUp.head) return;
    const { mark, at, head } = catchUp;
    catchUp = null;
    const events = head - at;
    const folded = frames > 0 && frames < events ? ` in ${several(frames, "frame")}` : "";
    const lost = gaps === 0 ? "nothing lost" : `${several(gaps, "gap")} asked for again, nothing lost`;
    mark.textContent = `resumed after ${count(at)} · ${several(events, "event")} replayed${folded} · ${lost}`;
    mark.dataset["after"] = String(at);
    mark.dataset["replayed"] = String(events);
    mark.classList.add("cut-mark--joined");
  }
  job.on("gap", () => {
    gaps += 1;
  });
  job.on("attached", ({ after, head, recovered }) => {
    if (open === null) return;
    const { mark, at } = open;
    open = null;
    if (!recovered) {
      mark.textContent = `the log from ${count(at)} on is gone · the answer so far was fetched anew`;
      mark.classList.add("cut-mark--joined");
      return;
    }
    frames = 0;
    catchUp = { mark, at: after, head };
    report();
  });
  job.on("event", (event) => {
    if (catchUp === null) return;
    if ("replayed" in event && event.replayed) frames += 1;
    report();
  });

  return {
    cut() {
      // Cut again before it had caught up: one mark tells of both.
      const mark = open?.mark ?? catchUp?.mark ?? make("span", "cut-mark");
      if (open === null && catchUp === null) place(mark);
      catchUp = null;
      open = { mark, at: job.cursor };
      mark.textContent = `cut after ${count(job.cursor)}`;
    },
  };
}
