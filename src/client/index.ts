/** What the client package offers, in one place. */
export { createPcmPlayer, type PcmPlayer } from "./audio.ts";
export {
  createClient,
  NO_JOB,
  type Client,
  type ClientListeners,
  type ClientOptions,
  type SubmitExtras,
} from "./client.ts";
export { createBrowserClock, type ClientClock } from "./clock.ts";
export type { ConnectionState, Credential } from "./connection.ts";
export { ClientError } from "./errors.ts";
export type { FrameNote } from "./frame-note.ts";
export type { JobHandle } from "./handle.ts";
export { sentenceAt, type SpokenSentence } from "./heard.ts";
export type { JobEnd, JobEvent, JobListeners, LogEvent } from "./job-events.ts";
export type { ClientStorage, RememberedJob } from "./memory.ts";
export type { JoinOptions, RoomHandle, RoomListeners } from "./rooms.ts";
export { newIdempotencyKey } from "./submit.ts";
