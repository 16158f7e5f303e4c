/** `holdline health`: asks a running server whether it is ready; what a container's health check calls. */
import { isIPv6 } from "node:net";
import { type Config, loadConfig, processInputs } from "../config.ts";
import { wholeNumber } from "./arguments.ts";
import { type Command, UsageError } from "./command.ts";
import { settingsFlags } from "./settings-flags.ts";

const TIMEOUT_MS = { preset: 3000, most: 600_000 };

/** Where a process on this machine reaches a server of this configuration. */
export function addressOf({ host, port }: Config): string {
  if (port === 0) throw new UsageError("The port is 0, so it cannot be known here: say --url URL.");
  // "Every address" is a place to listen, not one to connect to.
  const reached = host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "::1" : host;
  return `http://${isIPv6(reached) ? `[${reached}]` : reached}:${port}`;
}

/** The origin of a URL from the command line. Throws a UsageError when it is none. */
export function givenAddress(url: string): string {
  const parsed = URL.canParse(url) ? new URL(url) : null;
  if (parsed === null || !/^https?:$/.test(parsed.protocol)) {
    throw new UsageError(`--url needs a URL that begins with http:// or https://.`);
  }
  return parsed.origin;
}

interface Health {
  readonly ready: boolean;
  readonly url: string;
  /** HTTP status; null when there was no answer. */
  readonly status: number | null;
  readonly reason: string | null;
}

async function ask(address: string, timeoutMs: number, headers: Record<string, string>): Promise<Health> {
  const url = `${address}/readyz`;
  try {
    const answer = await fetch(url, {
      headers,
      redirect: "manual",
      signal: AbortSignal.timeout(timeoutMs),
      // The variables of a proxy are for the world outside, and this is a question to a neighbour.
      proxy: false,
    });
    await answer.body?.cancel();
    const ready = answer.status === 200;
    return { ready, url, status: answer.status, reason: ready ? null : `it answered ${answer.status}` };
  } catch (error) {
    const late = error instanceof Error && error.name === "TimeoutError";
    return {
      ready: false,
      url,
      status: null,
      reason: late ? `no answer in ${timeoutMs} ms` : "no connection",
    };
  }
}

export const health: Command = {
  usage: "health",
  about: `Asks /readyz of a running server: exit code 0 when it is ready, 1 when it is not.
Without --url it asks the server of the configuration, on this machine.`,
  flags: [
    { name: "url", value: "URL", description: "Address of the server, such as http://127.0.0.1:8787" },
    {
      name: "timeout-ms",
      value: "MS",
      description: `How long to wait for the answer [${TIMEOUT_MS.preset}]`,
    },
    ...settingsFlags(),
  ],
  async run({ flags: { url, "timeout-ms": timeout, ...flags }, json }, host) {
    const timeoutMs = wholeNumber("timeout-ms", timeout, TIMEOUT_MS);
    const configured = url === undefined ? loadConfig(processInputs(flags)).config : null;
    const address = configured === null ? givenAddress(url ?? "") : addressOf(configured);
    // In open mode a server answers to loopback names only, also where it listens on another address.
    const headers: Record<string, string> =
      configured === null ? {} : { host: `127.0.0.1:${configured.port}` };
    const found = await ask(address, timeoutMs, headers);
    const text = found.ready ? `ready: ${found.url}` : `not ready: ${found.url}: ${found.reason}`;
    host.out(`${json ? JSON.stringify(found) : text}\n`);
    return found.ready ? 0 : 1;
  },
};
