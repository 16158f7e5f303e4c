/** A folder of handler files that a test writes, and a server on it. */
import { mkdtemp, rm, writeFile, mkdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

export interface HandlerFolder extends AsyncDisposable {
  readonly path: string;
  write(name: string, source: string): Promise<void>;
}

/** `files` by name below the folder. */
export async function createFolder(files: Readonly<Record<string, string>>): Promise<HandlerFolder> {
  const path = await mkdtemp(join(tmpdir(), "holdline-handlers-"));
  const write = async (name: string, source: string): Promise<void> => {
    await mkdir(dirname(join(path, name)), { recursive: true });
    await writeFile(join(path, name), source);
  };
  for (const [name, source] of Object.entries(files)) await write(name, source);
  return {
    path,
    write,
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }),
  };
}

/** A file with one handler without input; `body` is what `run(job)` does. */
export function handlerFile(type: string, body: string, fields = ""): string {
  return `import { defineHandler, JobError, z } from "holdline";
export default defineHandler({ type: "${type}", input: z.object({}), ${fields} async run(job) { ${body} } });
`;
}
