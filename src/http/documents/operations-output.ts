/** What a job wrote, in words: its log in three forms, its output so far, its audio as a file. */
import { LIMITS } from "../../protocol/limits.ts";
import { example, intQuery, json, type Described } from "./describe.ts";
import { eventsExample, ndjsonExample, outputExample, sseExample, webhookExample } from "./examples.ts";

export const OUTPUT_OPERATIONS: readonly Described[] = [
  {
    method: "GET",
    path: "/v1/jobs/:id/events",
    id: "readEvents",
    tag: "Output",
    summary: "Read or follow the log of a job",
    description:
      "`Accept: application/json` gives a page. `text/event-stream` and `application/x-ndjson` give everything from there on, follow live, and end after the terminal event.\n\n" +
      `A stream of server-sent events names each event by its seq (\`id:\`), has no \`event:\` field, and a comment every ${LIMITS.sseCommentMs / 1000} s of silence.`,
    credential: "needed",
    parameters: [
      intQuery("after", "Entries with a greater seq.", { minimum: 0, default: 0 }),
      intQuery("limit", "Entries of one page; streams ignore it.", {
        minimum: 1,
        maximum: LIMITS.eventsPage,
        default: LIMITS.eventsPageDefault,
      }),
      {
        name: "Last-Event-ID",
        in: "header",
        description:
          "Wins over `after` when server-sent events are asked for: what a browser sends by itself.",
        schema: { type: "integer", minimum: 0 },
      },
    ],
    answers: {
      200: {
        description: "The log after that place.",
        content: {
          ...json("EventsPage", example("page", eventsExample)),
          "text/event-stream": {
            text: "Server-sent events; the `data:` of each is an Event in JSON.",
            examples: example("stream", sseExample),
          },
          "application/x-ndjson": {
            text: "One Event in JSON a line.",
            examples: example("stream", ndjsonExample),
          },
        },
      },
    },
    problems: ["invalid_request", "not_found", "not_acceptable", "job_purged", "cursor_expired"],
  },
  {
    method: "GET",
    path: "/v1/jobs/:id/output",
    id: "readOutput",
    tag: "Output",
    summary: "Read the output so far",
    description:
      "The latest run's output put together, and the `seq` to follow the log from. Once the log was trimmed it comes from the result.",
    credential: "needed",
    answers: {
      200: { description: "Output so far.", content: json("Output", example("text", outputExample)) },
    },
    problems: ["not_found", "job_purged"],
  },
  {
    method: "GET",
    path: "/v1/jobs/:id/audio",
    id: "readAudio",
    tag: "Output",
    summary: "Read the audio so far as one file",
    description:
      "PCM comes as WAV; other codecs as they were written. Ranges are served once the job has ended.",
    credential: "needed",
    parameters: [
      {
        name: "Range",
        in: "header",
        description: "One range of bytes (RFC 9110).",
        schema: { type: "string", pattern: "bytes=\\d*-\\d*" },
      },
    ],
    answers: {
      200: {
        description: "The whole file.",
        headers: ["Accept-Ranges"],
        content: { "audio/*": { binary: "`audio/wav` for PCM, else the type of the codec." } },
      },
      206: {
        description: "The range of it.",
        headers: ["Accept-Ranges", "Content-Range"],
        content: { "audio/*": { binary: "Bytes of the range." } },
      },
    },
    problems: ["not_found", "no_audio", "job_purged", "range_not_satisfiable"],
  },
  {
    method: "GET",
    path: "/v1/jobs/:id/webhook",
    id: "readWebhook",
    tag: "Output",
    summary: "Read how the webhook of a job went",
    description:
      "Whether the receiver was told that the job has ended, and every attempt with its answer. An extension of the contract.",
    credential: "needed",
    answers: {
      200: { description: "The webhook.", content: json("Webhook", example("delivered", webhookExample)) },
    },
    problems: ["not_found", "job_purged"],
  },
];
