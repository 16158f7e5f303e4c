/** The line at the top: whether page and server are connected, what is being done about it, and the button that cuts it. */
import type { Client, ClientClock, ConnectionState } from "../client/index.ts";
import { beforePaint, byId } from "./dom.ts";
import { lossInWords, short, stopInWords } from "./words.ts";

const CUT_FOR_MS = 2000;
const COUNT_DOWN_EVERY_MS = 100;
const MEASURE_EVERY_MS = 5000;
/** Below this a lost connection is found again before anybody could read the countdown. */
const WORTH_COUNTING_MS = 300;

export interface ConnectionView {
  /** A frame went by. */
  pulse(): void;
  /** Says why there is no connection, when more is known than its state. */
  explain(text: string): void;
}

export function createConnectionView(client: Client, clock: ClientClock): ConnectionView {
  const section = byId("connection", HTMLElement);
  const state = byId("state", HTMLElement);
  const more = byId("state-more", HTMLElement);
  const cut = byId("cut", HTMLButtonElement);
  const again = byId("again", HTMLButtonElement);
  const line = byId("pulse", HTMLElement);
  const latency = byId("fact-latency", HTMLElement);
  const session = byId("fact-session", HTMLElement);
  let latencyText = "";

  function show(now: ConnectionState): void {
    section.dataset["phase"] = now.phase;
    cut.disabled = now.phase !== "online";
    again.hidden = now.phase !== "closed";
    cut.hidden = now.phase === "closed";
    if (now.phase === "connecting") write("Connecting…", "");
    else if (now.phase === "online") {
      session.textContent = client.sessionId === null ? "–" : `…${client.sessionId.slice(-8)}`;
      session.title = client.sessionId ?? "";
      online();
    } else if (now.phase === "offline") countDown(now);
    else {
      write(stopInWords(now.cause), "");
      again.textContent = now.cause === "replaced" ? "Continue here" : "Start again";
    }
  }
  function write(text: string, moreText: string): void {
    if (state.textContent !== text) state.textContent = text;
    more.textContent = moreText;
  }
  function online(): void {
    const id = client.sessionId;
    write("Connected", [id === null ? "" : `session ${short(id)}`, latencyText].filter(Boolean).join(" · "));
  }
  function countDown(now: Extract<ConnectionState, { phase: "offline" }>): void {
    if (client.state !== now) return;
    const leftMs = Math.max(0, now.retryAtMs - clock.steadyMs());
    const left = leftMs < WORTH_COUNTING_MS ? "now" : `in ${(leftMs / 1000).toFixed(1)} s`;
    const tries = now.failures > 1 ? ` (try ${now.failures})` : "";
    write(lossInWords(now.cause), `trying again ${left}${tries}`);
    clock.after(COUNT_DOWN_EVERY_MS, () => countDown(now));
  }
  function measure(): void {
    clock.after(MEASURE_EVERY_MS, measure);
    if (client.state.phase !== "online" || document.hidden) return;
    client.roundTripMs().then(
      (tookMs) => {
        latencyText = `${tookMs < 10 ? tookMs.toFixed(1) : Math.round(tookMs)} ms`;
        latency.textContent = latencyText;
        if (client.state.phase === "online") online();
      },
      () => undefined,
    );
  }

  client.on("state", show);
  client.on("state", (now) => {
    if (now.phase === "online" && latencyText === "") clock.after(200, measure);
  });
  cut.addEventListener("click", () => client.dropConnection(CUT_FOR_MS));
  again.addEventListener("click", () => {
    // A session somebody else took over is fetched back; one the server does not know is begun anew.
    if (client.state.phase === "closed" && client.state.cause !== "replaced") client.forget();
    client.connect();
  });
  // The browser knows sooner than any timer that there is a network again.
  addEventListener("online", () => {
    if (client.state.phase === "offline") client.connect();
  });
  show(client.state);

  let running = false;
  line.addEventListener("animationend", () => {
    running = false;
    line.classList.remove("line__pulse--runs");
  });
  return {
    explain: (text) => write(text, ""),
    pulse: beforePaint(() => {
      if (running || document.hidden) return;
      running = true;
      line.classList.add("line__pulse--runs");
    }),
  };
}
