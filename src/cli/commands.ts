/** The list of commands. Each is loaded when it is called, so that `version` and `health` do not wait for the server. */
import type { Command } from "./command.ts";
import { CHILD_COMMAND } from "./processes/messages.ts";

interface Listed {
  /** One line for the list of commands. */
  readonly summary: string;
  readonly load: () => Promise<Command>;
}

export const COMMANDS: Readonly<Record<string, Listed>> = {
  serve: {
    summary: "Start the server (npm start does this)",
    load: async () => (await import("./serve.ts")).serve,
  },
  migrate: {
    summary: "Upgrade the database to the schema of this version",
    load: async () => (await import("./migrate.ts")).migrate,
  },
  config: {
    summary: "Check, print or document the settings",
    load: async () => (await import("./config.ts")).config,
  },
  token: {
    summary: "Create, list and revoke tokens for workers, operators and publishers",
    load: async () => (await import("./token.ts")).token,
  },
  keys: {
    summary: "List and rotate the keys that sign session tokens",
    load: async () => (await import("./keys.ts")).keys,
  },
  jobs: {
    summary: "List, show, cancel and retry jobs of all users",
    load: async () => (await import("./jobs.ts")).jobs,
  },
  sessions: {
    summary: "List sessions of all users, and revoke them",
    load: async () => (await import("./sessions.ts")).sessions,
  },
  backup: {
    summary: "Copy the database to a file, even while the server is running",
    load: async () => (await import("./backup.ts")).backup,
  },
  restore: {
    summary: "Replace the database with a backup",
    load: async () => (await import("./restore.ts")).restore,
  },
  doctor: {
    summary: "Check machine, disk and configuration, and say what to do",
    load: async () => (await import("./doctor.ts")).doctor,
  },
  selftest: {
    summary: "Kill a server on this machine over and over, and tell whether anything is lost",
    load: async () => (await import("./selftest.ts")).selftest,
  },
  bench: {
    summary: "Measure how much a server on this machine can take",
    load: async () => (await import("./bench.ts")).bench,
  },
  schedules: {
    summary: "List schedules, with the next and the latest job of each",
    load: async () => (await import("./schedules.ts")).schedules,
  },
  "worker-conformance": {
    summary: "Check a server or a worker against the worker protocol",
    load: async () => (await import("./worker-conformance.ts")).workerConformance,
  },
  health: {
    summary: "Ask a running server whether it is ready",
    load: async () => (await import("./health.ts")).health,
  },
  version: {
    summary: "Print the version",
    load: async () => (await import("./version.ts")).version,
  },
  help: {
    summary: "Explain a command",
    load: async () => (await import("./help.ts")).help,
  },
};

/** Not for people: what this program starts itself as. */
const INNER: Readonly<Record<string, Listed>> = {
  [CHILD_COMMAND]: {
    summary: "One of the processes of a server",
    load: async () => (await import("./processes/child.ts")).serveChild,
  },
};

/** The command of this name; only our own entries count, whatever Object.prototype has. */
export function findCommand(name: string): Listed | null {
  const all = { ...COMMANDS, ...INNER };
  return Object.hasOwn(all, name) ? (all[name] ?? null) : null;
}
