/** `/v1/sessions`, `/v1/types` and the address of the socket, in words. */
import { SUBPROTOCOL } from "../../protocol/frames.ts";
import { example, json, type Described } from "./describe.ts";
import { sessionCreatedExample, sessionExample, tokenExample, typesExample } from "./examples.ts";

export const SESSION_OPERATIONS: readonly Described[] = [
  {
    method: "POST",
    path: "/v1/sessions",
    id: "openSession",
    tag: "Sessions",
    summary: "Open a session without a socket",
    description:
      "In open mode it works without a credential and makes an anonymous user; otherwise the user token opens it. A socket may resume the session with its token.",
    credential: "maybe",
    answers: {
      201: {
        description: "The session and its token.",
        headers: ["Location"],
        content: json("SessionCreated", example("anonymous", sessionCreatedExample)),
      },
    },
    problems: ["too_many_sessions", "draining", "storage_unavailable"],
  },
  {
    method: "GET",
    path: "/v1/sessions",
    id: "listSessions",
    tag: "Sessions",
    summary: "List your sessions",
    credential: "needed",
    answers: {
      200: {
        description: "Those that are not over, newest first.",
        content: json("Sessions", example("one", { items: [sessionExample] })),
      },
    },
    problems: [],
  },
  {
    method: "POST",
    path: "/v1/sessions/current/token",
    id: "renewToken",
    tag: "Sessions",
    summary: "Renew the session token",
    description: "The older one stays good until its own end.",
    credential: "needed",
    answers: {
      200: { description: "A fresh token.", content: json("Token", example("token", tokenExample)) },
    },
    problems: [],
  },
  {
    method: "GET",
    path: "/v1/sessions/:id",
    id: "readSession",
    tag: "Sessions",
    summary: "Read a session",
    credential: "needed",
    answers: {
      200: { description: "The session.", content: json("Session", example("online", sessionExample)) },
    },
    problems: ["not_found"],
  },
  {
    method: "DELETE",
    path: "/v1/sessions/:id",
    id: "endSession",
    tag: "Sessions",
    summary: "Log out",
    description:
      "Its token is dead, its socket is closed with 4502, and its jobs that asked for it (`onDisconnect: cancel`) are canceled.",
    credential: "needed",
    answers: { 204: { description: "The session is over." } },
    problems: ["not_found", "storage_unavailable"],
  },
  {
    method: "GET",
    path: "/v1/connect",
    id: "connect",
    tag: "Socket",
    summary: "Open a WebSocket",
    description:
      `The frames are described by /asyncapi.json. \`${SUBPROTOCOL}\` must be offered; further entries may carry tokens: \`bearer.<user or session token>\`, \`session.<session token>\`.\n\n` +
      "A bad credential completes the handshake and closes the socket with the code that says why, since a browser can read nothing else.",
    credential: "maybe",
    parameters: [
      {
        name: "Sec-WebSocket-Protocol",
        in: "header",
        required: true,
        description: `\`${SUBPROTOCOL}\`, and tokens beside it.`,
        schema: { type: "string" },
      },
    ],
    answers: {
      101: { description: "The server speaks first: `welcome`.", headers: ["Sec-WebSocket-Protocol"] },
    },
    problems: ["invalid_request", "upgrade_required"],
  },
];

export const TYPE_OPERATIONS: readonly Described[] = [
  {
    method: "GET",
    path: "/v1/types",
    id: "listTypes",
    tag: "Jobs",
    summary: "List the job types of this server",
    description: "With the JSON Schema of each one's `input`.",
    credential: "needed",
    answers: {
      200: { description: "All types.", content: json("JobTypes", example("chat", typesExample)) },
    },
    problems: [],
  },
];
