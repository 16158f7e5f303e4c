/** What the page says, in plain words, when something is not as it should be; and how it writes numbers. */
import type { JobEnd } from "../client/index.ts";
import type { ResetReason } from "../protocol/events.ts";

const LOSSES: Readonly<Record<string, string>> = {
  dropped: "Cut",
  draining: "The server is restarting",
  slow_consumer: "This page could not keep up",
  heartbeat_timeout: "The server did not hear from this page",
  overloaded: "The server is overloaded",
  internal: "The server had a fault",
  token_expired: "The login has run out",
  session_gone: "The session is over; a new one is being opened",
  credential_unavailable: "No login could be fetched",
};

const STOPS: Readonly<Record<string, string>> = {
  unauthenticated: "The server asks who you are.",
  revoked: "This session was logged out.",
  replaced: "Another tab has taken over this session.",
  protocol_error: "The server did not understand this page.",
  message_too_big: "The message was too big.",
  too_many_sessions: "There are too many open sessions. Close another one.",
  token_expired: "The login has run out.",
};

const FAILURES: Readonly<Record<string, string>> = {
  network: "The server cannot be reached.",
  unknown_type: "This server does not offer that kind of answer.",
  too_many_jobs: "Too many jobs are running. Wait for one to end.",
  rate_limited: "Too many messages at once. Wait a moment.",
  queue_full: "The server is busy. Try again in a moment.",
  payload_too_large: "That is too long.",
  timeout: "It took too long.",
  worker_lost: "The work was lost too often and was given up.",
  output_too_large: "The answer grew too large.",
  not_found: "The server does not know this answer any more.",
  job_purged: "This answer was deleted.",
  closed: "There is no connection.",
};

export function lossInWords(cause: string): string {
  return LOSSES[cause] ?? "The connection was lost";
}

export function stopInWords(cause: string): string {
  return STOPS[cause] ?? "The connection has ended.";
}

/** Why a user token is asked for, after `before` was tried or when none was. */
export function askInWords(cause: string, before: string | null): string {
  if (cause === "token_expired") return "That token has run out. Another user token (JWT) goes on:";
  if (before !== null)
    return "That token is not one of this server's users. Another user token (JWT) opens it:";
  return "This server asks who you are. A user token (JWT) opens it:";
}

/** A failure's code in words; what the server said itself where this page has none of its own. */
export function failureInWords(code: string, detail: string): string {
  return FAILURES[code] ?? detail;
}

const RESETS: Readonly<Record<ResetReason, string>> = {
  retry: "begun anew: the run before failed",
  worker_lost: "begun anew: the worker was lost",
  restart: "begun anew: the server was restarted",
  released: "begun anew: the work was handed over",
};

export function resetInWords(reason: ResetReason): string {
  return RESETS[reason] ?? "begun anew";
}

export function endInWords(end: JobEnd): string {
  if (end.outcome === "succeeded") return "Done";
  if (end.outcome === "canceled") return end.reason === "lane" ? "Interrupted" : "Canceled";
  if (end.outcome === "expired") return "Not started in time";
  if (end.outcome === "failed") return failureInWords(end.error.code, end.error.message);
  return failureInWords(end.code, end.detail);
}

export const STATUS_WORDS: Readonly<Record<string, string>> = {
  submitting: "Sending",
  queued: "Queued",
  running: "Running",
  retrying: "Trying again",
  canceling: "Stopping",
  succeeded: "Done",
  failed: "Failed",
  canceled: "Canceled",
  expired: "Expired",
};

const whole = new Intl.NumberFormat("en");

/** A whole number with separators. */
export function count(value: number): string {
  return whole.format(Math.round(value));
}

/** `3 events`, `1 event`. */
export function several(value: number, noun: string): string {
  return `${count(value)} ${noun}${value === 1 ? "" : "s"}`;
}

export function size(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  return bytes < 1024 * 1024 ? `${(bytes / 1024).toFixed(1)} kB` : `${(bytes / 1024 / 1024).toFixed(1)} MB`;
}

/** The end of an id: UUIDv7s begin with the time, so only their ends tell neighbours apart. */
export function short(id: string): string {
  return id.slice(-4);
}
