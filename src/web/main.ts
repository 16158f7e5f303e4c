/** The playground's composition root: one client, and the views that listen to it. */
import { createBrowserClock, createClient, newIdempotencyKey } from "../client/index.ts";
import { createComposer } from "./composer.ts";
import { createConnectionView } from "./connection-view.ts";
import { startDiagnosis } from "./diagnosis.ts";
import { byId } from "./dom.ts";
import { createLogin } from "./login.ts";
import { createVoice } from "./player.ts";
import { continuable } from "./saved.ts";
import { startTheme } from "./theme.ts";
import { createTimeline } from "./timeline.ts";
import { createTranscript } from "./transcript.ts";

function start(): void {
  const clock = createBrowserClock();
  const login = createLogin();
  const client = createClient({ url: location.origin, clock, credential: () => login.token() });
  login.watch(client);
  const voice = createVoice(byId("sound", HTMLButtonElement));
  const timeline = createTimeline();
  const connection = createConnectionView(client, clock);
  const transcript = createTranscript(client, clock, voice);
  const composer = createComposer({
    onGesture: () => voice.wake(),
    onSend: (exchange) => transcript.send(exchange),
    previousJobId: () => continuable(transcript.exchanges),
    newKey: () => newIdempotencyKey(Math.random),
  });

  client.on("frame", (note) => {
    timeline.frame(note);
    connection.pulse();
  });
  client.on("gap", () => timeline.gap());
  let asked = false;
  let told = "";
  client.on("state", (state) => {
    if (state.phase === "offline" || state.phase === "closed") {
      const text = state.cause === "dropped" ? "connection cut" : `connection lost: ${state.cause}`;
      // A server that is away fails every attempt in the same way: that is one piece of news.
      if (text !== told) timeline.event(text, "cut");
      told = text;
      transcript.cut();
    } else if (state.phase === "online") {
      told = "";
      timeline.event(state.welcome.session.resumed ? "session resumed" : "new session", "joined");
      if (!asked) {
        asked = true;
        void offerTypes();
      }
    }
  });

  async function offerTypes(): Promise<void> {
    try {
      const response = await client.fetch("/v1/types");
      if (!response.ok) return;
      const { items } = (await response.json()) as { items: { type: string }[] };
      composer.offer(new Set(items.map(({ type }) => type)));
    } catch {
      // Everything stays on offer; the server refuses what it does not have.
    }
  }

  const wire = byId("wire", HTMLElement);
  const showWire = byId("show-wire", HTMLButtonElement);
  showWire.addEventListener("click", () => {
    const open = wire.classList.toggle("wire--open");
    showWire.setAttribute("aria-expanded", String(open));
    if (open) timeline.toEnd();
  });
  startTheme(byId("theme", HTMLButtonElement));
  addEventListener("pagehide", () => client.save());

  startDiagnosis(client, (text) => connection.explain(text));
  client.connect();
  transcript.restore();
}

start();
