/** Finds out what a browser does not tell: a socket that is refused for its origin looks like a server that is not there. */
import type { Client } from "../client/index.ts";

/** When the very first connection fails, asks over HTTP whether pages from here are let in at all; if not, `explain`s. */
export function startDiagnosis(client: Client, explain: (text: string) => void): void {
  let asked = false;
  client.on("state", ({ phase }) => {
    if (phase === "online") asked = true;
    if (phase !== "offline" || asked) return;
    asked = true;
    void ask();
  });

  async function ask(): Promise<void> {
    try {
      // A POST bears the Origin, and this one changes nothing without a credential.
      const response = await fetch("/v1/sessions/current/token", { method: "POST" });
      const { code } = (await response.json()) as { code?: string };
      if (code !== "forbidden_origin") return;
      client.close();
      explain(`This server does not let pages from ${location.origin} in (HOLDLINE_ALLOWED_ORIGINS).`);
    } catch {
      // The server really is not there, and the connection view says so.
    }
  }
}
