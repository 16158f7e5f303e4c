/** One user of a measured server: as few steps as the protocol allows, so that the figures are the server's. */
import { type Clock, sleep } from "../../lib/clock.ts";

const WELCOME_LIMIT_MS = 10_000;

export interface BenchUser {
  /** Hands in a `tokens` job; resolves with its id after the 202. */
  submit(input: object): Promise<string>;
  /** Calls `take` with every text frame from now on; one at a time. */
  onText(take: (frame: string) => void): void;
  /** Rejects when the connection ends without having been closed here. */
  readonly lost: Promise<never>;
  close(): void;
}

/** Opens a session of its own; resolves when it is welcome. */
export async function openBenchUser(url: string, clock: Clock): Promise<BenchUser> {
  const socket = new WebSocket(`${url.replace(/^http/, "ws")}/v1/connect`, ["holdline.v1"]);
  let take: (frame: string) => void = () => undefined;
  const welcome = Promise.withResolvers<string>();
  socket.addEventListener("message", ({ data }) => {
    if (typeof data !== "string") return;
    take(data);
    if (!data.startsWith('{"type":"ping"') && !data.startsWith('{"type":"welcome"')) return;
    const frame = JSON.parse(data) as { type: string; token?: string; at?: number };
    if (frame.type === "welcome") welcome.resolve(frame.token ?? "");
    else socket.send(JSON.stringify({ type: "pong", at: frame.at }));
  });
  const lost = Promise.withResolvers<never>();
  lost.promise.catch(() => undefined);
  socket.addEventListener("close", ({ code }) => lost.reject(new Error(`the connection ended (${code})`)));
  const late = sleep(clock, WELCOME_LIMIT_MS).then(() => {
    throw new Error(`no welcome in ${WELCOME_LIMIT_MS} ms`);
  });
  late.catch(() => undefined);
  const token = await Promise.race([welcome.promise, lost.promise, late]);
  return {
    async submit(input) {
      const answer = await fetch(`${url}/v1/jobs`, {
        method: "POST",
        headers: { "content-type": "application/json", authorization: `Bearer ${token}` },
        body: JSON.stringify({ type: "tokens", input }),
        proxy: false,
      });
      const text = await answer.text();
      if (answer.status !== 202) throw new Error(`a job was refused: ${answer.status} ${text}`);
      return (JSON.parse(text) as { id: string }).id;
    },
    onText(next) {
      take = next;
    },
    lost: lost.promise,
    close: () => socket.close(),
  };
}
