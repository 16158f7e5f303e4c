/** The wire panel: the last frames both ways, as they went by, and a few sums. Draws at most once per paint. */
import { type FrameNote, NO_JOB } from "../client/index.ts";
import { beforePaint, byId, make } from "./dom.ts";
import { count, short, size } from "./words.ts";

export interface Timeline {
  frame(note: FrameNote): void;
  /** A line of its own between the frames: what happened to the connection. */
  event(text: string, kind: "cut" | "joined"): void;
  gap(): void;
  /** Shows the newest frames: after the panel was opened. */
  toEnd(): void;
}

const MOST_ROWS = 300;
const NEAR_END_PX = 40;

type Row = { readonly note: FrameNote } | { readonly text: string; readonly kind: "cut" | "joined" };

export function createTimeline(): Timeline {
  const list = byId("frames", HTMLOListElement);
  const pauseButton = byId("pause", HTMLButtonElement);
  const frames = byId("fact-frames", HTMLElement);
  const gaps = byId("fact-gaps", HTMLElement);
  let waiting: Row[] = [];
  let paused = false;
  let received = 0;
  let sent = 0;
  let bytes = 0;
  let gapCount = 0;

  const draw = beforePaint(() => {
    frames.textContent = `${count(received)} in, ${count(sent)} out, ${size(bytes)}`;
    gaps.textContent = count(gapCount);
    gaps.classList.toggle("facts__bad", gapCount > 0);
    if (paused || waiting.length === 0) return;
    const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < NEAR_END_PX;
    list.append(...waiting.map(rowElement));
    waiting = [];
    while (list.childElementCount > MOST_ROWS) list.firstElementChild?.remove();
    if (atEnd) list.scrollTop = list.scrollHeight;
  });
  function add(row: Row): void {
    waiting.push(row);
    if (waiting.length > MOST_ROWS) waiting.shift();
    draw();
  }

  pauseButton.addEventListener("click", () => {
    paused = !paused;
    pauseButton.setAttribute("aria-pressed", String(paused));
    pauseButton.textContent = paused ? "Go on" : "Pause";
    draw();
  });

  return {
    frame(note) {
      if (note.direction === "in") received += 1;
      else sent += 1;
      bytes += note.bytes;
      add({ note });
    },
    event: (text, kind) => add({ text, kind }),
    gap() {
      gapCount += 1;
      draw();
    },
    toEnd() {
      list.scrollTop = list.scrollHeight;
    },
  };
}

function rowElement(row: Row): HTMLElement {
  if ("text" in row) return make("li", `frame frame--event frame--${row.kind}`, row.text);
  const { note } = row;
  const kinds = ["frame", `frame--${note.direction}`];
  if (note.type === "binary") kinds.push("frame--binary");
  if (note.replayed) kinds.push("frame--replayed");
  const item = make("li", kinds.join(" "));
  const seq = note.seq === null ? "" : note.first === null ? `${note.seq}` : `${note.first}–${note.seq}`;
  item.append(
    // A detach of no job at all is how the client measures the round trip.
    make("span", "frame__kind", note.job === NO_JOB ? "round trip" : (note.kind ?? note.type)),
    make("span", "frame__seq", seq),
    make("span", "frame__job", note.job === null || note.job === NO_JOB ? "" : short(note.job)),
    make("span", "frame__size", size(note.bytes)),
  );
  // Colour alone says nothing to some readers.
  const words = [note.direction === "out" ? "sent" : note.replayed ? "replayed" : "live"];
  if (note.type === "binary") words.push("binary");
  item.append(make("span", "unseen", words.join(", ")));
  item.title = words.join(", ");
  return item;
}
