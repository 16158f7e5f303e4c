/** A copy of the product to break: where deliberate bugs are built in, one at a time, and a test is asked whether it notices. */
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const ROOT = resolve(import.meta.dir, "../..");
/** What every use needs of the checkout. */
const COPIED = ["src", "migrations", "package.json", "tsconfig.json"];

/** What somebody might write by mistake or in a hurry, as one change of one text in src/. */
export interface Mutation {
  readonly name: string;
  readonly file: string;
  /** Stands in the file exactly once. */
  readonly text: string;
  readonly instead: string;
}

export interface Workshop {
  /** Where the copy is. */
  readonly folder: string;
  /** Does the work on the copy with the mutation built in, or as it is. Throws when its text is not there once. */
  during<Result>(mutation: Mutation | null, work: () => Promise<Result>): Promise<Result>;
  close(): void;
}

/** Throws unless the text of the mutation stands in this source exactly once. */
export function mutate({ name, file, text, instead }: Mutation, source: string): string {
  const places = source.split(text).length - 1;
  if (places !== 1) throw new Error(`“${name}”: its text stands in ${file} ${places} times`);
  return source.replace(text, () => instead);
}

/** `parts`: files and folders of the checkout beside the product itself. */
export function openWorkshop(parts: readonly string[]): Workshop {
  const folder = mkdtempSync(join(tmpdir(), "holdline-mutants-"));
  for (const path of [...COPIED, ...parts]) cpSync(join(ROOT, path), join(folder, path), { recursive: true });
  symlinkSync(join(ROOT, "node_modules"), join(folder, "node_modules"));
  return {
    folder,
    async during(mutation, work) {
      if (mutation === null) return work();
      const path = join(folder, mutation.file);
      const original = readFileSync(path, "utf8");
      writeFileSync(path, mutate(mutation, original));
      try {
        return await work();
      } finally {
        writeFileSync(path, original);
      }
    },
    close: () => rmSync(folder, { recursive: true }),
  };
}
