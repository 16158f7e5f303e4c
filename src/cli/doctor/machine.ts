/** Checks of the machine around the server: how many files it may open, whether its port is free, what it can reach. */
import { existsSync, readFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import type { Config } from "../../config.ts";
import { FolderInUseError, lockFolder } from "../../sqlite/lock.ts";
import { addressOf } from "../health.ts";
import { type Finding, fail, ok, warn } from "./finding.ts";

const ANSWER_MS = 5000;
/** Files, the database, pipes, and connections that come and go. */
const OWN_DESCRIPTORS = 64;
/** Sockets that a server should be able to have, whatever the configuration. */
const LEAST_SOCKETS = 1000;

/** The soft limit of open files that a process started here gets; null where the system does not tell. */
function descriptorLimit(): number | null {
  try {
    const limits = readFileSync("/proc/self/limits", "utf8");
    const found = /^Max open files\s+(\S+)/m.exec(limits)?.[1];
    return found === undefined ? null : found === "unlimited" ? Number.POSITIVE_INFINITY : Number(found);
  } catch {
    return null;
  }
}

/** @internal Exported for its test. */
export function judgeDescriptors(
  limit: number | null,
  { concurrency }: Pick<Config, "concurrency">,
): Finding {
  const name = "descriptors";
  if (limit === null) return ok(name, "this system does not tell their limit");
  // Each run may hold a connection to an upstream, each client holds one of ours.
  const sockets = limit - OWN_DESCRIPTORS - concurrency;
  const text = `${limit} open files: ${concurrency} runs and ${Math.max(sockets, 0)} sockets at a time`;
  const fix = "Raise it: ulimit -n 65536, or LimitNOFILE=65536 in the systemd unit";
  if (sockets < OWN_DESCRIPTORS) return fail(name, text, `${fix}, or lower --concurrency`);
  return sockets < LEAST_SOCKETS ? warn(name, text, fix) : ok(name, text);
}

export function checkDescriptors(config: Config): Finding {
  return judgeDescriptors(descriptorLimit(), config);
}

/** null when it can be listened on, else what the system says. */
function tryToListen(host: string, port: number): Promise<string | null> {
  const probe = createServer();
  return new Promise((resolve) => {
    probe.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    probe.listen({ host, port, exclusive: true }, () => probe.close(() => resolve(null)));
  });
}

/** Whether a server has the folder. Only asked while one runs somewhere, and the lock is let go at once. */
function isFolderUsed(dataDir: string): boolean {
  const path = join(dataDir, "holdline.lock");
  if (!existsSync(path)) return false;
  try {
    lockFolder(path)();
    return false;
  } catch (error) {
    if (error instanceof FolderInUseError) return true;
    throw error;
  }
}

/** A server of ours that is ready there, a free port, or somebody else. */
export async function checkPort(config: Config): Promise<Finding> {
  const name = "port";
  const { host, port } = config;
  const place = `${host}:${port}`;
  if (port === 0) return ok(name, "a free one is taken at each start");
  const trouble = await tryToListen(host, port);
  if (trouble === null) return ok(name, `${place} is free`);
  if (trouble === "EACCES")
    return fail(name, `${place} is not allowed`, "Take one above 1023, or put a proxy in front");
  if (trouble !== "EADDRINUSE")
    return fail(name, `${place}: ${trouble}`, "Listen on an address of this machine: --host");
  const answer = await fetch(`${addressOf(config)}/readyz`, {
    // In open mode a server answers to loopback names only.
    headers: { host: `127.0.0.1:${port}` },
    redirect: "manual",
    signal: AbortSignal.timeout(ANSWER_MS),
    proxy: false,
  }).then(
    ({ status, headers }) => ({ status, isOurs: headers.has("x-trace-id") }),
    () => null,
  );
  const another = "Stop it, or say another port: --port";
  if (answer?.isOurs && !isFolderUsed(config.dataDir))
    return fail(name, `${place} is taken by a server of another data folder`, another);
  if (answer?.isOurs && answer.status === 200) return ok(name, `a server is ready on ${place}`);
  if (answer?.isOurs && answer.status === 503)
    return warn(name, `a server on ${place} is not ready`, "holdline health tells why, and so does its log");
  return fail(name, `${place} is taken by another program`, another);
}

/** What the server asks over HTTP, if it is configured to. */
interface Upstream {
  readonly name: string;
  readonly url: string;
  readonly key: string | null;
  readonly fix: string;
}

/** The address without anything that may be a secret. */
function shown(url: string): string {
  const { origin, pathname } = new URL(url);
  return `${origin}${pathname}`;
}

async function checkUpstream({ name, url, key, fix }: Upstream): Promise<Finding> {
  try {
    const answer = await fetch(url, {
      ...(key === null ? {} : { headers: { authorization: `Bearer ${key}` } }),
      redirect: "manual",
      signal: AbortSignal.timeout(ANSWER_MS),
    });
    await answer.body?.cancel();
    const text = `${shown(url)} answers ${answer.status}`;
    if (answer.status === 401 || answer.status === 403) return fail(name, text, `It refuses the key: ${fix}`);
    return answer.status >= 500 ? warn(name, text, "It has troubles of its own: look there") : ok(name, text);
  } catch (error) {
    const late = error instanceof Error && error.name === "TimeoutError";
    const text = `${shown(url)}: ${late ? `no answer in ${ANSWER_MS} ms` : "no connection"}`;
    return fail(name, text, `Start it, or see that this machine can reach it: ${fix}`);
  }
}

function upstreamsOf(config: Config): Upstream[] {
  const { chatUrl, chatKey, speechUrl, speechKey, authJwksUrl, types } = config;
  const models = (base: string): string => `${base.replace(/\/$/, "")}/models`;
  const upstreams: Upstream[] = [];
  if (chatUrl !== null)
    upstreams.push({
      name: "chat",
      url: models(chatUrl),
      key: chatKey,
      fix: "see HOLDLINE_CHAT_URL and _KEY",
    });
  if (speechUrl !== null)
    upstreams.push({
      name: "speech",
      url: models(speechUrl),
      key: speechKey,
      fix: "see HOLDLINE_SPEECH_URL and _KEY",
    });
  for (const { type, http } of types) {
    // Their own way in, without their headers: whether somebody is there is all that can be asked without a job.
    if (http !== null)
      upstreams.push({
        name: `type ${type}`,
        url: new URL(http.url).origin,
        key: null,
        fix: "see its table in holdline.toml",
      });
  }
  if (authJwksUrl !== null)
    upstreams.push({ name: "JWKS", url: authJwksUrl, key: null, fix: "see HOLDLINE_AUTH_JWKS_URL" });
  return upstreams;
}

/** One finding for each thing that the server is configured to ask; none when there is none. */
export function checkUpstreams(config: Config): Promise<Finding[]> {
  return Promise.all(upstreamsOf(config).map(checkUpstream));
}
