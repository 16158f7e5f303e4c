/** One exchange on the page: what was asked, the answer as it grows, how its job stands, and what can be done with it. */
import type { Client, ClientClock, JobEnd, JobHandle } from "../client/index.ts";
import { type CutMarks, createCutMarks } from "./cut-mark.ts";
import { beforePaint, make } from "./dom.ts";
import type { Voice } from "./player.ts";
import { createTextBody, type ReplyBody } from "./reply-body.ts";
import type { Exchange } from "./saved.ts";
import type { Spoken } from "./spoken.ts";
import { createTokensBody } from "./tokens-body.ts";
import { createVoiceStrip } from "./voice-strip.ts";
import {
  count,
  endInWords,
  failureInWords,
  resetInWords,
  several,
  short,
  size,
  STATUS_WORDS,
} from "./words.ts";

export interface ReplyLinks {
  readonly client: Client;
  readonly clock: ClientClock;
  readonly voice: Voice;
  readonly spoken: Spoken;
  /** Something of it grew or changed: time to scroll. */
  onChange(): void;
  /** The server has the job, or it has ended: time to save. */
  onProgress(): void;
}

export interface Reply {
  readonly element: HTMLElement;
  /** Shows the job as it goes on. After a reload: audio up to entry `heardUntil` was heard before. */
  follow(job: JobHandle, reload?: { readonly heardUntil: number }): void;
  /** Shows an exchange that ended before this page was loaded. */
  showEnded(): void;
  /** The connection went. */
  cut(): void;
}

const MODE_WORDS = { voice: "Voice", chat: "Chat", speech: "Speech", tokens: "Tokens" } as const;

export function createReply(exchange: Exchange, links: ReplyLinks): Reply {
  const element = make("li", "exchange");
  const asked = make("p", "exchange__asked", exchange.prompt);
  const answer = make("article", "reply");
  answer.setAttribute("aria-label", `Answer, ${MODE_WORDS[exchange.mode]}`);
  const body = bodyOf(exchange, links.clock);
  const foot = make("footer", "reply__foot");
  const status = make("span", "reply__status");
  const detail = make("span", "reply__detail");
  const cancel = make("button", "button button--quiet", "Cancel");
  const listen = make("button", "button button--quiet", "Listen again");
  cancel.type = "button";
  listen.type = "button";
  cancel.hidden = true;
  listen.hidden = true;
  foot.append(status, detail, cancel, listen);
  answer.append(body.element, foot);
  element.append(asked, answer);

  let marks: CutMarks | null = null;
  let bytes = 0;

  function setStatus(name: string, words = STATUS_WORDS[name] ?? name): void {
    answer.dataset["status"] = name;
    status.textContent = words;
  }
  function facts(job: JobHandle, received: number): string {
    const parts = [job.cursor > 0 ? several(job.cursor, "event") : "", bytes > 0 ? size(bytes) : ""];
    if (received > 0) parts.push(`${received.toFixed(1)} s of voice`);
    if (job.attempt > 1) parts.push(`attempt ${count(job.attempt)}`);
    if (job.id !== null) parts.push(`job ${short(job.id)}`);
    return parts.filter((part) => part !== "").join(" · ");
  }
  function ended(job: JobHandle, end: JobEnd): void {
    exchange.ended = { text: job.text, note: detail.textContent ?? "", outcome: end.outcome };
    cancel.hidden = true;
    setStatus(end.outcome, endInWords(end));
    links.spoken.end();
    links.onProgress();
  }

  function follow(job: JobHandle, reload?: { readonly heardUntil: number }): void {
    marks = createCutMarks(job, (mark) => body.mark(mark));
    if (reload !== undefined) marks.reloaded();
    const heard = links.voice.follow(job, reload?.heardUntil ?? 0);
    const strip = createVoiceStrip(heard);
    body.element.after(strip.element);
    const draw = beforePaint(() => {
      detail.textContent = facts(job, heard.received);
      links.onChange();
    });
    setStatus(job.status);
    cancel.hidden = false;
    cancel.addEventListener("click", () => {
      cancel.disabled = true;
      job.cancel().catch((error: unknown) => {
        cancel.disabled = false;
        detail.textContent = reason(error);
      });
    });
    listen.addEventListener("click", () => void hearAgain(links, exchange, detail));

    job.on("status", (name) => {
      setStatus(name);
      draw();
    });
    job.on("text", ({ delta, replayed }) => {
      bytes += delta.length;
      body.append(delta, replayed);
      if (exchange.mode !== "tokens") links.spoken.add(delta);
    });
    job.on("audio", (chunk) => {
      bytes += chunk.bytes.byteLength;
      strip.push(chunk.bytes, chunk.replayed);
    });
    job.on("reset", (reset) => {
      body.clear();
      body.mark(make("span", "cut-mark", resetInWords(reset.reason)));
      strip.clear();
      links.spoken.clear();
      bytes = 0;
    });
    job.on("replaced", () => body.replace(job.text));
    job.on("progress", ({ message }) => {
      if (message !== undefined) status.textContent = message;
    });
    let tokens = 0;
    job.on("event", (event) => {
      if (event.kind === "output.text" && "counted" in body) {
        tokens += event.seq - event.first + 1;
        (body as ReturnType<typeof createTokensBody>).counted(tokens);
      } else if (event.kind === "output.reset") tokens = 0;
      draw();
    });
    job.on("end", (end) => {
      detail.textContent = facts(job, heard.received);
      listen.hidden = heard.received === 0 || end.outcome !== "succeeded";
      ended(job, end);
    });
    job.accepted.then(
      (id) => {
        exchange.jobId = id;
        answer.dataset["job"] = id;
        links.onProgress();
      },
      (error: unknown) => {
        if (exchange.ended !== null) return;
        exchange.ended = { text: "", note: "", outcome: "refused" };
        cancel.hidden = true;
        setStatus("failed", reason(error));
        links.onProgress();
      },
    );
  }

  return {
    element,
    follow,
    showEnded() {
      if (exchange.ended === null) return;
      if (exchange.jobId !== null) answer.dataset["job"] = exchange.jobId;
      body.replace(exchange.ended.text);
      detail.textContent = exchange.ended.note;
      setStatus(exchange.ended.outcome);
      listen.hidden = !exchange.ended.note.includes("of voice");
      listen.addEventListener("click", () => void hearAgain(links, exchange, detail));
    },
    cut() {
      if (exchange.ended === null && exchange.jobId !== null) marks?.cut();
    },
  };
}

function bodyOf(exchange: Exchange, clock: ClientClock): ReplyBody {
  if (exchange.mode !== "tokens") return createTextBody();
  const { tokens } = exchange.body.input as { tokens: number };
  return createTokensBody(tokens, clock);
}

function reason(error: unknown): string {
  const { code, message } = error as { code?: string; message: string };
  return failureInWords(code ?? "", message);
}

/** Fetches the finished sound as one file: the page's own chunks are not kept. */
async function hearAgain(links: ReplyLinks, exchange: Exchange, detail: HTMLElement): Promise<void> {
  try {
    const response = await links.client.fetch(`/v1/jobs/${exchange.jobId}/audio`);
    if (!response.ok) throw new Error("The sound is not kept any more.");
    links.voice.playFile(await response.blob());
  } catch (error) {
    detail.textContent = reason(error);
  }
}
