/** Why Redis cannot be used, in words that say what to look at; what the network or Redis itself said stands behind them. */

/** By what they said; the first one that fits. */
const WORDS: readonly (readonly [RegExp, string])[] = [
  [/ECONNREFUSED/, "nothing listens there: does it run, and is this its address?"],
  [/ENOTFOUND|EAI_AGAIN/, "its name is not known"],
  [/^NOAUTH/, "it wants a password: redis://:PASSWORD@HOST:PORT"],
  [/^WRONGPASS|invalid password/, "it refuses the user or the password of its URL"],
  [/^NOPERM/, "the user of its URL may not do this: it needs holdline's keys, scripts and channels (ACL)"],
  [/^READONLY/, "it is a replica and takes no writes: name the master, or its Sentinels"],
  [/certificate|CERT_/i, "its certificate is not trusted here"],
  [
    /Command timed out|Socket timeout/,
    "it does not answer in time: is it overloaded or stopped, or no Redis at all?",
  ],
  [
    /ETIMEDOUT|ECONNRESET|EPIPE|closed|wrong version/i,
    "it gives no answer: is it Redis that listens there, and is TLS wanted (rediss://) or not (redis://)?",
  ],
];

/** No secret of the URL is in it. */
export function redisReason(error: unknown): string {
  const { message, code } = (error ?? {}) as { message?: unknown; code?: unknown };
  const said = String(message || code || error);
  const [, words] = WORDS.find(([pattern]) => pattern.test(said) || pattern.test(String(code))) ?? [];
  return words === undefined ? said : `${words} (${said})`;
}
