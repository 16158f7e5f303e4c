/** A program beside the server that does not let go of the database. */
import { join, resolve } from "node:path";
import type { TestServer } from "../../support/server.ts";
import { within } from "../../support/wait.ts";

const HOLDER = resolve(import.meta.dir, "holder.ts");

export interface Holder extends AsyncDisposable {
  readonly pid: number;
}

/** Held from when this resolves until it is disposed of. */
export async function hold(
  { dataFolder }: Pick<TestServer, "dataFolder">,
  what: "read" | "write",
): Promise<Holder> {
  const child = Bun.spawn(
    [process.execPath, "--no-env-file", HOLDER, join(dataFolder, "holdline.db"), what],
    { stdin: "pipe", stdout: "pipe", stderr: "inherit" },
  );
  const { value } = await within("the database to be held", child.stdout.getReader().read());
  if (new TextDecoder().decode(value) !== "held\n") throw new Error("the database could not be held");
  return {
    pid: child.pid,
    async [Symbol.asyncDispose]() {
      await child.stdin.end();
      await within("the database to be let go", child.exited);
    },
  };
}
