/** `/v1/rooms` in words. */
import { example, json, type Described } from "./describe.ts";
import { presenceExample, roomMessageExample, saidExample } from "./examples.ts";

export const ROOM_OPERATIONS: readonly Described[] = [
  {
    method: "GET",
    path: "/v1/rooms/:room/presence",
    id: "readPresence",
    tag: "Rooms",
    summary: "See who is in a room",
    description:
      "For a member of it, by its session token. A room that one is not in is a room that there is not.",
    credential: "needed",
    answers: {
      200: {
        description: "Its members, those that came first at the top, and how many there are.",
        content: json("Presence", example("one", presenceExample)),
      },
    },
    problems: ["not_found"],
  },
  {
    method: "POST",
    path: "/v1/rooms/:room/messages",
    id: "sayInRoom",
    tag: "Rooms",
    summary: "Say something in a room",
    description:
      "For a member of it, by its session token, or for a program by a publish token. Members with an open socket get a `message` frame, those of the session that says it included.",
    credential: "speaker",
    body: {
      description: "What is said, up to `frameBytes`.",
      content: json("RoomMessage", example("text", roomMessageExample)),
    },
    answers: { 202: { description: "It was handed on.", content: json("Said", example("id", saidExample)) } },
    problems: ["not_found"],
  },
];
