/** What the client package offers, in one place. */
export { createClient, NO_JOB } from "./client.ts";
export type { Client, ClientListeners, ClientOptions, SubmitExtras } from "./client.ts";
export { newIdempotencyKey } from "./submit.ts";
export { ClientError } from "./errors.ts";
export { createPcmPlayer } from "./audio.ts";
export { sentenceAt } from "./heard.ts";
export type { SpokenSentence } from "./heard.ts";
export type { PcmPlayer } from "./audio.ts";
export { createBrowserClock } from "./clock.ts";
export type { ClientClock } from "./clock.ts";
export type { ConnectionState, Credential } from "./connection.ts";
export type { FrameNote } from "./frame-note.ts";
export type { JoinOptions, RoomHandle, RoomListeners } from "./rooms.ts";
export type { JobHandle } from "./handle.ts";
export type { JobEnd, JobEvent, JobListeners, LogEvent } from "./job-events.ts";
export type { ClientStorage, RememberedJob } from "./memory.ts";
