/** `holdline worker-conformance`: holds a server, or a worker program, to the worker protocol, check by check. */
import { createSystemClock } from "../lib/clock.ts";
import { type Command, UsageError } from "./command.ts";
import { tryAll, type Check, type Verdict } from "./conformance/check.ts";
import { serverChecks } from "./conformance/server-checks.ts";
import { startWorker, workerChecks } from "./conformance/worker-checks.ts";
import { givenAddress } from "./health.ts";

function required(flags: Readonly<Record<string, string>>, name: string): string {
  const value = flags[name];
  if (value === undefined) throw new UsageError(`worker-conformance needs --${name}; --help explains it.`);
  return value;
}

function inputOf(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? "{}");
  } catch {
    throw new UsageError("--input needs JSON.");
  }
}

interface Subject extends AsyncDisposable {
  readonly checks: readonly Check[];
}

async function subjectOf(flags: Readonly<Record<string, string>>): Promise<Subject> {
  const type = required(flags, "type");
  const input = inputOf(flags["input"]);
  const { worker } = flags;
  const clock = createSystemClock();
  if (worker === undefined) {
    const url = givenAddress(required(flags, "url"));
    const token = required(flags, "token");
    const userToken = flags["user-token"] ?? null;
    const checks = serverChecks({ url, token, userToken, type, input, nowMs: () => clock.elapsedMs() });
    return { checks, [Symbol.asyncDispose]: () => Promise.resolve() };
  }
  if (flags["url"] !== undefined)
    throw new UsageError("Say --url to try a server or --worker to try a worker.");
  const started = await startWorker({ command: worker, type, input, clock });
  return { checks: workerChecks(started), [Symbol.asyncDispose]: () => started.stop() };
}

const line = ({ name, passed, reason }: Verdict): string =>
  `${passed ? "pass" : "FAIL"}  ${name}${reason === null ? "" : `\n      expected ${reason}`}\n`;

export const workerConformance: Command = {
  usage: "worker-conformance",
  about: `Holds one side to the worker protocol (docs/protocol.md, section 6) and prints each check.
With --url a running server is tried, as a worker sees it: --token is a worker token, --type a type
that workers serve and nobody else works on meanwhile. With --worker a program is started in a shell
and tried by a server of the test's own, whose address and token it gets as HOLDLINE_URL and
HOLDLINE_WORKER_TOKEN; --input must keep it writing output for 20 seconds or so. Exit code 0 when
every check passed, else 1.`,
  flags: [
    { name: "url", value: "URL", description: "The server to try" },
    { name: "token", value: "TOKEN", description: "A worker token of it" },
    { name: "user-token", value: "TOKEN", description: "Who submits the jobs [in open mode: a new session]" },
    { name: "worker", value: "COMMAND", description: "The worker to try, as a shell would start it" },
    { name: "type", value: "NAME", description: "The type of the jobs" },
    { name: "input", value: "JSON", description: "Their input [{}]" },
  ],
  async run({ flags, json }, host) {
    await using subject = await subjectOf(flags);
    const verdicts = await tryAll(subject.checks, (verdict) => {
      if (!json) host.out(line(verdict));
    });
    const failed = verdicts.filter(({ passed }) => !passed).length;
    const passed = verdicts.length - failed;
    host.out(
      json
        ? `${JSON.stringify({ passed, failed, checks: verdicts })}\n`
        : `${passed} passed, ${failed} failed\n`,
    );
    return failed === 0 ? 0 : 1;
  },
};
