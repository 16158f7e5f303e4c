/** A client as bare as can be, for benches of several nodes: what it costs itself should not show in the figures. */
import type { TestServer } from "../support/server.ts";

export interface Visitor {
  readonly socket: WebSocket;
  /** Of its session. */
  readonly token: string;
}

/** Opens a socket and answers its pings, as any client does; resolves when it is welcome. `onText`: every frame that is text. */
export function visit(
  server: TestServer,
  userToken: string,
  onText: (text: string) => void = () => {},
): Promise<Visitor> {
  const protocols = ["holdline.v1", `bearer.${userToken}`];
  const socket = new WebSocket(`${server.url.replace("http", "ws")}/v1/connect`, protocols);
  return new Promise((resolve, reject) => {
    socket.addEventListener("error", reject);
    socket.addEventListener("message", ({ data }) => {
      const text = String(data);
      if (text.startsWith('{"type":"ping"')) socket.send(text.replace("ping", "pong"));
      else if (text.startsWith('{"type":"welcome"'))
        resolve({ socket, token: (JSON.parse(text) as { token: string }).token });
      onText(text);
    });
  });
}

/** Submits a job of the type `tokens`; its id. */
export async function submitTokens({ url }: TestServer, token: string, input: object): Promise<string> {
  const response = await fetch(`${url}/v1/jobs`, {
    method: "POST",
    headers: { "Content-Type": "application/json", Authorization: `Bearer ${token}` },
    body: JSON.stringify({ type: "tokens", input }),
  });
  if (response.status !== 202) throw new Error(`${response.status} ${await response.text()}`);
  return ((await response.json()) as { id: string }).id;
}
