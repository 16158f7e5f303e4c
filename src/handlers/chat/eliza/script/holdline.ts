/** What the built-in engine says about Holdline, the server around it. */
import type { Keyword } from "../rules.ts";

export const HOLDLINE: readonly Keyword[] = [
  {
    words: ["store", "save", "keep", "share", "secret", "secrets", "private", "privacy", "confidential"],
    rank: 47,
    rules: [
      {
        when: "* you store|save|keep|share *",
        say: [
          "I keep nothing myself. The server keeps what you write as part of its jobs, for as long as its operator decided, so " +
            "tell me nothing that the operator should not read.",
        ],
      },
      {
        when: "* secret|secrets|private|privacy|confidential *",
        say: [
          "Then keep it out of this window: the server stores what you write, and whoever runs it can read it. What can you " +
            "say about it without giving it away?",
        ],
      },
    ],
  },
  {
    words: ["holdline"],
    rank: 55,
    rules: [
      {
        when: "* what|explain|about|why|how *",
        say: [
          "Holdline takes a request over HTTP, stores it before it says yes, and delivers the answer over a WebSocket. If the " +
            "network drops or the page is reloaded, the answer goes on where you stopped reading; if the server is killed in " +
            "mid-sentence, the job runs again and you are told so. Reload this page while I am writing, and you will see it.",
          "Think of slow work, such as the answer of a language model or a spoken text, behind a browser or a game. " +
            "Holdline runs it as a job, keeps every piece of its output in a log, and lets any client read on from the " +
            "last piece it saw. It is one program and one database file.",
        ],
      },
      {
        when: "*",
        say: [
          "Holdline is the server I live in: it accepts work over HTTP and delivers the results over a WebSocket, in " +
            "order and whole. What would you like to build with it?",
          "You mention Holdline. I am its smallest part; what counts is that these words reach you even if the " +
            "connection breaks between two of them.",
        ],
      },
    ],
  },
  {
    words: [
      "crash",
      "crashes",
      "crashed",
      "die",
      "dies",
      "drop",
      "drops",
      "lose",
      "fails",
      "kill",
      "restart",
      "reload",
      "disconnect",
      "offline",
      "resume",
      "reconnect",
    ],
    rank: 54,
    rules: [
      {
        when: "* you crash|die|restart|disconnect *",
        say: [
          "Then another run begins as soon as there is a server again, and you are told that the output starts anew. Try it " +
            "in the middle of a story.",
        ],
      },
      {
        when: "* server|page|connection|tab|network|browser|websocket|wifi *",
        say: [
          "Try it: every piece of this answer is stored before you see it. Reload the page while I am writing, and the client " +
            "asks for whatever follows the last piece it has; stop the server, and the job runs again when it is back.",
          "That is what the log is for. A client names the last piece it saw and gets the next one, over any connection " +
            "and after any restart.",
        ],
      },
    ],
  },
  {
    words: ["websocket", "websockets", "http", "sqlite", "redis", "postgres", "postgresql", "sse"],
    rank: 53,
    rules: [
      {
        when: "*",
        say: [
          "In Holdline, HTTP accepts the work and a WebSocket delivers what comes of it, while a log in SQLite remembers " +
            "both. PostgreSQL and Redis come in when one machine is not enough. Beyond that, its documentation knows more " +
            "than I do.",
          "I travel over those, but I only know my own rules. The documents that come with Holdline describe them properly.",
        ],
      },
    ],
  },
];
