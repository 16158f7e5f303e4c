/** Every setting there is, once: what it is for, what it may be, and what it is when nobody says anything. */
import { z } from "zod";
import { NODE_ROLES } from "../protocol/admin.ts";
import { LIMITS } from "../protocol/limits.ts";
import {
  authSecretProblem,
  cookieProblem,
  databaseUrlProblem,
  hostProblem,
  httpUrlProblem,
  originProblem,
  proxyProblem,
  publicKeyProblem,
  publicUrlProblem,
  redisUrlProblem,
  sessionsUrlProblem,
  typeProblem,
  webhookHostProblem,
  webhookSecretProblem,
} from "./formats.ts";
import {
  choice,
  duration,
  integer,
  list,
  optionalChoice,
  optionalList,
  optionalText,
  size,
  text,
} from "./kinds.ts";

const GIB = 1024 ** 3;
const COUNT_MOST = 1_000_000_000;
/** Ten years: retention is compared, not handed to a timer. */
const RETENTION_MOST_MS = 10 * 366 * 24 * 60 * 60 * 1000;

/** The prefix makes browsers insist on Secure, Path=/ and no Domain (RFC 6265bis section 4.1.3). */
export const DEFAULT_COOKIE = "__Host-holdline";

const HTTP_URL = "a URL that begins with http:// or https://";

const listening = {
  host: text({
    preset: "127.0.0.1",
    allowed: "an IP address or a host name",
    check: hostProblem,
    description: "Address to listen on.",
  }),
  port: integer({
    least: 0,
    most: 65_535,
    preset: 8787,
    description: "Port to listen on; 0 takes a free one.",
  }),
  publicUrl: optionalText({
    allowed: "an origin such as https://hold.example.com",
    check: publicUrlProblem,
    description: "Where browsers reach the server, if not where it listens.",
  }),
  allowedOrigins: optionalList({
    allowed: "exact origins such as https://app.example.com",
    check: originProblem,
    defaultText: "origin of the public URL, and the loopback ones in open mode",
    description: "Origins whose pages may call.",
  }),
  trustedProxies: list({
    allowed: "IP addresses or CIDR blocks",
    check: proxyProblem,
    description: "Proxies whose `X-Forwarded-For` counts.",
  }),
};

const storage = {
  dataDir: text({
    preset: "./data",
    allowed: "the path of a folder",
    description: "Folder of the database and the keys, made with mode 0700.",
  }),
  databaseUrl: optionalText({
    allowed: "sqlite:FILE, sqlite::memory: or postgres://…",
    check: databaseUrlProblem,
    defaultText: "sqlite:<data>/holdline.db",
    description: "Where jobs and their logs are kept.",
  }),
  redisUrl: optionalText({
    allowed: "redis://…, redis+sentinel://… or redis+cluster://…, and rediss… over TLS",
    check: redisUrlProblem,
    description: "Redis for sessions and for what several nodes tell each other.",
  }),
  sessionsUrl: optionalText({
    allowed: "database, or a Redis URL",
    check: sessionsUrlProblem,
    defaultText: "the database, or Redis when it is configured",
    description: "Where sessions are kept.",
  }),
  durability: choice(["power", "process"], {
    preset: "power",
    description:
      "What an accepted job survives: loss of power (fsync before the 202), or the end of the process.",
  }),
  eventsRetentionMs: duration({
    least: 0,
    most: RETENTION_MOST_MS,
    preset: LIMITS.eventsRetentionMs,
    description: "How long the log of a finished job can be read.",
  }),
  jobsRetentionMs: duration({
    least: 0,
    most: RETENTION_MOST_MS,
    preset: LIMITS.jobsRetentionMs,
    description: "How long a finished job and its result are kept.",
  }),
  idempotencyRetentionMs: duration({
    least: 0,
    most: RETENTION_MOST_MS,
    preset: LIMITS.idempotencyRetentionMs,
    description: "How long an Idempotency-Key is remembered.",
  }),
};

const authentication = {
  auth: optionalChoice(["open"], {
    description: "`open` lets anyone who reaches the server in, on any address.",
  }),
  authSecret: optionalText({
    secret: true,
    allowed: "32 bytes or more",
    check: authSecretProblem,
    description: "Shared key of the user tokens (HS256).",
  }),
  authJwksUrl: optionalText({
    allowed: HTTP_URL,
    check: httpUrlProblem,
    description: "Where the identity provider publishes its keys.",
  }),
  authPublicKey: optionalText({
    allowed: "a public key in PEM",
    check: publicKeyProblem,
    description: "Public key of the user tokens (RS256, ES256, EdDSA).",
  }),
  authIssuer: optionalText({ allowed: "text", description: "`iss` that user tokens must bear." }),
  authAudience: optionalText({ allowed: "text", description: "`aud` that user tokens must bear." }),
  authCookie: text({
    preset: DEFAULT_COOKIE,
    allowed: "the name of a cookie",
    check: cookieProblem,
    description: "Cookie that may hold the user token.",
  }),
  authBinding: choice(["off", "strict"], {
    preset: "off",
    description: "`strict`: every call needs the session token and the very user token it was made from.",
  }),
  sessionTokenMs: duration({
    least: 100,
    preset: LIMITS.sessionTokenMs,
    description: "Life of a session token.",
  }),
};

const sockets = {
  pingMs: duration({
    least: 10,
    preset: LIMITS.pingMs,
    description: "How often a connection is asked for a sign of life.",
  }),
  pingTimeoutMs: duration({
    least: 10,
    preset: LIMITS.pingTimeoutMs,
    description: "How long the answer may take.",
  }),
  resumeMs: duration({
    least: 0,
    preset: LIMITS.resumeMs,
    description: "How long a session without a socket can be resumed.",
  }),
  frameBytes: size({
    least: 1024,
    most: GIB,
    preset: LIMITS.frameBytes,
    description: "Largest frame a client may send.",
  }),
  eventBytes: size({
    least: 1024,
    most: GIB,
    preset: LIMITS.eventBytes,
    description: "Largest `output.data` and result.",
  }),
  queueBytes: size({
    least: 1024,
    most: GIB,
    preset: LIMITS.queueBytes,
    description: "Most that waits for one slow connection.",
  }),
  roomsMax: integer({
    least: 0,
    most: COUNT_MOST,
    preset: LIMITS.rooms,
    description: "Rooms of one session.",
  }),
  presenceGraceMs: duration({
    least: 0,
    preset: LIMITS.presenceGraceMs,
    description: "How long a member of a room may be without a socket before it is seen as away.",
  }),
  attachmentsMax: integer({
    least: 1,
    most: COUNT_MOST,
    preset: LIMITS.attachments,
    description: "Jobs one connection watches at a time.",
  }),
  framesPerMinute: integer({
    least: 0,
    most: COUNT_MOST,
    preset: LIMITS.framesPerMinute,
    description: "Frames of one user a minute; 0 = no limit.",
  }),
};

const limits = {
  bodyBytes: size({
    least: 1024,
    most: GIB,
    preset: LIMITS.bodyBytes,
    description: "Largest body of a request.",
  }),
  jobBytes: size({
    least: 1024,
    most: 1024 * GIB,
    preset: LIMITS.jobBytes,
    description: "Largest log of one job.",
  }),
  maxLostLeases: integer({
    least: 1,
    most: 1000,
    preset: LIMITS.maxLostLeases,
    description: "Runs of a job that may be lost with their process.",
  }),
  userSessions: integer({
    least: 0,
    most: COUNT_MOST,
    preset: LIMITS.userSessions,
    description: "Sessions of one user, or of one address where there is no user; 0 = no limit.",
  }),
  userJobs: integer({
    least: 0,
    most: COUNT_MOST,
    preset: LIMITS.userJobs,
    description: "Unfinished jobs of one user; 0 = no limit.",
  }),
  queueJobs: integer({
    least: 0,
    most: COUNT_MOST,
    preset: LIMITS.queueJobs,
    description: "Jobs of all users that wait to be run; 0 = no limit.",
  }),
  ratePerMinute: integer({
    least: 0,
    most: COUNT_MOST,
    preset: LIMITS.ratePerMinute,
    description: "Requests of one user (of one address where there is none) a minute; 0 = no limit.",
  }),
  tokenRatePerMinute: integer({
    least: 0,
    most: COUNT_MOST,
    preset: LIMITS.tokenRatePerMinute,
    description:
      "Requests with one admin or publish token a minute, and those of a worker token that bring nothing; 0 = no limit.",
  }),
  concurrency: integer({
    least: 1,
    most: 100_000,
    preset: LIMITS.concurrency,
    description: "Runs at a time in this process.",
  }),
};

const operation = {
  role: choice(NODE_ROLES, {
    preset: "all",
    description: "What this node takes part in: everything, sockets, the HTTP API or jobs.",
  }),
  processes: integer({
    least: 1,
    most: 64,
    preset: 1,
    description:
      "Processes that share the port and the data folder, to use all cores; more than one need Redis.",
  }),
  drainMs: duration({
    least: 0,
    preset: LIMITS.drainMs,
    description: "How long runs may go on after SIGTERM; whoever stops the server has to wait 15 s longer.",
  }),
  log: choice(["debug", "info", "warn", "error", "silent"], {
    preset: "info",
    description: "What is logged: JSON lines, pretty on a terminal.",
  }),
  otlpEndpoint: optionalText({
    allowed: HTTP_URL,
    check: httpUrlProblem,
    description: "Where traces are sent (OTLP over HTTP).",
  }),
};

const webhooks = {
  webhookHosts: list({
    allowed: "host names such as hooks.example.com, *.example.com, or * for any",
    check: webhookHostProblem,
    description: "Hosts that the webhooks of users may go to; without any there are no webhooks.",
  }),
  webhookNetworks: list({
    allowed: "IP addresses or CIDR blocks",
    check: proxyProblem,
    description:
      "Networks that are not public and that webhooks may reach all the same, also by plain http://.",
  }),
  webhookSecrets: list({
    secret: true,
    allowed: "whsec_ and 24 to 64 bytes in base64",
    check: webhookSecretProblem,
    description: "Keys that sign webhooks (Standard Webhooks); every one signs, so that they can be changed.",
  }),
};

const types = {
  tokens: optionalChoice(["on", "off", "chaos"], {
    defaultText: "`on` in open mode, else `off`",
    description: "The `tokens` type, for trying things out; `chaos` lets it kill the process.",
  }),
  handlersDir: optionalText({
    allowed: "the path of a folder",
    description: "Folder of handlers in TypeScript.",
  }),
  handlersWatch: choice(["off", "on"], {
    preset: "off",
    description:
      "`on` loads the handlers again when a file of their folder changes; runs finish on the code they began with.",
  }),
  workerTypes: list({
    allowed: "names of job types",
    check: typeProblem,
    description: "Types that remote workers serve.",
  }),
  chatUrl: optionalText({
    allowed: HTTP_URL,
    check: httpUrlProblem,
    defaultText: "an engine inside the package",
    description: "OpenAI-compatible server for `chat` and `voice` (`…/v1`).",
  }),
  chatKey: optionalText({ secret: true, allowed: "text", description: "Its key." }),
  chatModel: optionalText({ allowed: "text", description: "Its model when a job names none." }),
  speechUrl: optionalText({
    allowed: HTTP_URL,
    check: httpUrlProblem,
    defaultText: "an engine inside the package",
    description: "OpenAI-compatible server for `speech` and `voice` (`…/v1`).",
  }),
  speechKey: optionalText({ secret: true, allowed: "text", description: "Its key." }),
  speechModel: optionalText({ allowed: "text", description: "Its model." }),
  speechVoice: optionalText({ allowed: "text", description: "The voice when a job names none." }),
};

/** The same settings under the headings that help and documentation use. */
export const SETTING_GROUPS = [
  { title: "Listening", settings: listening },
  { title: "Storage", settings: storage },
  { title: "Authentication", settings: authentication },
  { title: "Sockets", settings: sockets },
  { title: "Limits", settings: limits },
  { title: "Operation", settings: operation },
  { title: "Job types", settings: types },
  { title: "Webhooks", settings: webhooks },
] as const;

export const settingsSchema = z.object({
  ...listening,
  ...storage,
  ...authentication,
  ...sockets,
  ...limits,
  ...operation,
  ...types,
  ...webhooks,
});

/** What was set or preset, before anything is derived from it. */
export type Settings = z.output<typeof settingsSchema>;
export type SettingKey = keyof Settings;

/** Every key, in the order of the groups. */
export const SETTING_KEYS = Object.keys(settingsSchema.shape) as readonly SettingKey[];
