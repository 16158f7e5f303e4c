/** Asks for a user token where the server is not in open mode. It is kept in this page only; a reload goes on by the session's. */
import type { Client } from "../client/index.ts";
import { byId } from "./dom.ts";
import { askInWords } from "./words.ts";

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
  const why = byId("login-why", HTMLElement);
  let given: string | null = null;
  return {
    token: () => given,
    watch(client) {
      client.on("state", (state) => {
        if (state.phase === "online") form.hidden = true;
        if (!("cause" in state) || !WANTS_TOKEN.has(state.cause)) return;
        why.textContent = askInWords(state.cause, given);
        given = null;
        form.hidden = false;
        // Nothing is gained by trying again with a token that is over. Everybody else hears of this state before the next.
        if (state.phase === "offline") queueMicrotask(() => client.close());
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
