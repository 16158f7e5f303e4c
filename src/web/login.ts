/** Asks for a user token where the server is not in open mode. It is kept in this page only; a reload goes on by the session's. */
import type { Client } from "../client/index.ts";
import { byId } from "./dom.ts";

export interface Login {
  /** The token that was given; null before, and when it is over. */
  token(): string | null;
  /** Shows the form when `client` stops for want of a token. */
  watch(client: Client): void;
}

const WANTS_TOKEN: ReadonlySet<string> = new Set(["unauthenticated", "token_expired"]);

export function createLogin(): Login {
  const form = byId("login", HTMLFormElement);
  const field = byId("user-token", HTMLInputElement);
  let given: string | null = null;
  return {
    token: () => given,
    watch(client) {
      client.on("state", (state) => {
        if (state.phase === "online") form.hidden = true;
        if (!("cause" in state) || !WANTS_TOKEN.has(state.cause)) return;
        given = null;
        form.hidden = false;
        // Nothing is gained by trying again with a token that is over.
        if (state.phase === "offline") client.close();
        field.focus();
      });
      form.addEventListener("submit", (event) => {
        event.preventDefault();
        given = field.value.trim();
        field.value = "";
        client.connect();
      });
    },
  };
}
