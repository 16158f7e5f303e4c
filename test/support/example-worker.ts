/** The example workers as processes of their own, the way an operator starts them. */
import { resolve } from "node:path";
import { issueToken } from "./operator.ts";
import { requireService } from "../services.ts";
import type { TestServer } from "./server.ts";
import { within } from "./wait.ts";

const EXAMPLES = resolve(import.meta.dir, "../../examples");

export const EXAMPLE_WORKERS = ["worker.py", "worker.ts"] as const;
export type ExampleName = (typeof EXAMPLE_WORKERS)[number];

/** How a shell would start it. */
export function commandOf(name: ExampleName): string[] {
  if (name === "worker.ts") return [process.execPath, "--no-env-file", `${EXAMPLES}/${name}`];
  requireService("python3");
  return ["python3", "-B", `${EXAMPLES}/${name}`];
}

export interface ExampleWorker extends AsyncDisposable {
  readonly name: string;
  kill(signal: NodeJS.Signals): void;
  readonly exited: Promise<number>;
  /** What it wrote to stderr so far. */
  said(): string;
}

let count = 0;

/** Starts it against this server, with a token of its own. */
export async function startExample(server: TestServer, example: ExampleName): Promise<ExampleWorker> {
  const { token } = await issueToken(server, "worker");
  count += 1;
  const name = `example-${count}`;
  const child = Bun.spawn(commandOf(example), {
    env: {
      PATH: process.env["PATH"],
      HOLDLINE_URL: server.url,
      HOLDLINE_WORKER_TOKEN: token,
      HOLDLINE_WORKER_NAME: name,
    },
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
  });
  let said = "";
  const decoder = new TextDecoder();
  const begun = Promise.withResolvers<void>();
  void (async () => {
    for await (const chunk of child.stderr) {
      said += decoder.decode(chunk, { stream: true });
      if (said.includes("serves")) begun.resolve();
    }
    begun.reject(new Error(`the worker ended: ${said}`));
  })();
  await within("the worker to begin", begun.promise);
  return {
    name,
    kill: (signal) => child.kill(signal),
    exited: child.exited,
    said: () => said,
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await child.exited;
    },
  };
}
