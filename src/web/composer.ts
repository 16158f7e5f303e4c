/** Where a message is written and the kind of answer chosen. */
import { byId, make } from "./dom.ts";
import type { Exchange, Mode } from "./saved.ts";
import { count } from "./words.ts";

export interface ComposerLinks {
  /** A click or key press has just happened: browsers start sound only then. */
  onGesture(): void;
  onSend(exchange: Exchange): void;
  /** The answered job a chat goes on from. */
  previousJobId(): string | undefined;
  newKey(): string;
}

export interface Composer {
  /** Kinds of answers the server offers; the others cannot be chosen. */
  offer(types: ReadonlySet<string>): void;
}

/** What the built-in engine answers at length: time enough to cut the connection in the middle. */
const IDEAS = ["Tell me a story.", "What is Holdline?", "Who are you?"];
const MOST_ROWS_PX = 160;
/** Whoever says something while an answer is still being given interrupts it. */
const LANE = "conversation";

export function createComposer(links: ComposerLinks): Composer {
  const form = byId("composer", HTMLFormElement);
  const message = byId("message", HTMLTextAreaElement);
  const words = byId("words", HTMLDivElement);
  const numbers = byId("numbers", HTMLDivElement);
  const problem = byId("problem", HTMLParagraphElement);
  const radios = [...form.querySelectorAll<HTMLInputElement>("input[name=mode]")];
  const fields = {
    tokens: byId("tokens", HTMLInputElement),
    size: byId("token-size", HTMLInputElement),
    intervalMs: byId("token-pause", HTMLInputElement),
  };

  const mode = (): Mode => (radios.find((radio) => radio.checked)?.value ?? "voice") as Mode;
  function showMode(): void {
    const isTokens = mode() === "tokens";
    numbers.hidden = !isTokens;
    words.hidden = isTokens;
    message.placeholder = mode() === "speech" ? "Something to be read aloud…" : "Say something…";
    complain("");
  }
  function complain(text: string): void {
    problem.textContent = text;
    problem.hidden = text === "";
  }
  function fit(): void {
    message.style.height = "auto";
    message.style.height = `${Math.min(message.scrollHeight, MOST_ROWS_PX)}px`;
  }

  function compose(): Exchange | null {
    const chosen = mode();
    const base = { key: links.newKey(), mode: chosen, jobId: null, ended: null };
    if (chosen === "tokens") {
      const bad = Object.values(fields).find((field) => !field.checkValidity());
      if (bad !== undefined) {
        complain(`${bad.labels?.[0]?.textContent?.trim() ?? "A number"}: ${bad.validationMessage}`);
        bad.focus();
        return null;
      }
      const tokens = fields.tokens.valueAsNumber;
      const size = fields.size.valueAsNumber;
      const intervalMs = fields.intervalMs.valueAsNumber;
      const prompt = `${count(tokens)} tokens of ${count(size)} characters, ${count(intervalMs)} ms apart`;
      return { ...base, prompt, body: { type: chosen, input: { tokens, size, intervalMs } } };
    }
    const text = message.value.trim();
    if (text === "") {
      complain("There is nothing to send yet.");
      message.focus();
      return null;
    }
    const body = { type: chosen, lane: LANE };
    if (chosen === "speech") return { ...base, prompt: text, body: { ...body, input: { text } } };
    const previousJobId = links.previousJobId();
    const input = {
      messages: [{ role: "user", content: text }],
      ...(previousJobId === undefined ? {} : { previousJobId }),
    };
    return { ...base, prompt: text, body: { ...body, input } };
  }
  function send(): void {
    links.onGesture();
    complain("");
    const exchange = compose();
    if (exchange === null) return;
    links.onSend(exchange);
    if (exchange.mode === "tokens") return;
    message.value = "";
    fit();
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send();
  });
  message.addEventListener("keydown", (event) => {
    // While a word is being composed, Enter chooses its characters.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    send();
  });
  message.addEventListener("input", () => {
    complain("");
    fit();
  });
  for (const radio of radios) radio.addEventListener("change", showMode);
  for (const idea of IDEAS) {
    const item = make("li", "");
    const button = make("button", "button idea", idea);
    button.type = "button";
    button.addEventListener("click", () => {
      message.value = idea;
      send();
    });
    item.append(button);
    byId("ideas", HTMLUListElement).append(item);
  }
  // Firefox keeps the state of inputs over a reload.
  showMode();

  return {
    offer(types) {
      for (const radio of radios) {
        const offered = types.has(radio.value);
        radio.disabled = !offered;
        const label = radio.closest("label");
        if (label !== null) label.title = offered ? "" : "This server does not offer it";
      }
      const first = radios.find((radio) => !radio.disabled);
      if (first !== undefined && !radios.some((radio) => radio.checked && !radio.disabled)) {
        first.checked = true;
        showMode();
      }
    },
  };
}
