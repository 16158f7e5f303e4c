/** Deliberate bugs: what somebody might write by mistake or in a hurry, each as one change of one text in src/. */

import type { Mutation } from "../support/workshop.ts";

export interface SeededMutation extends Mutation {
  /** The seed that is tried first: one that was seen to find it. What a seed does changes with the product; then others follow. */
  readonly seed: number;
}

export const MUTATIONS: readonly SeededMutation[] = [
  {
    name: "the lease is not checked",
    file: "src/jobs/transitions.ts",
    text: "return job.leaseToken === lease && isUnderWay(job);",
    instead: "return isUnderWay(job);",
    seed: 20,
  },
  {
    name: "output is published before it is committed",
    file: "src/jobs/sqlite/store.ts",
    text: "  return { ...reads, ...createWrites(writer, whole) };",
    instead: `  const writes = createWrites(writer, whole);
  const listeners: ((changes: readonly Change[]) => void)[] = [];
  return {
    ...reads,
    onCommitted(listener) {
      listeners.push(listener);
      writes.onCommitted(listener);
    },
    async execute(command) {
      if (command.op === "append") {
        const job = await reads.find(command.id);
        const head = (job?.head ?? 0) + command.items.length;
        const change = { job: { ...job, head }, first: (job?.head ?? 0) + 1, events: [] } as unknown as Change;
        for (const listener of listeners) listener([restore(command as JobCommand<"append">, change)]);
      }
      return writes.execute(command);
    },
  };`,
    seed: 1,
  },
  {
    name: "the client counts what it receives instead of reading its number",
    file: "src/client/follow.ts",
    text: "      cursor = event.seq;",
    instead: "      cursor += 1;",
    seed: 1,
  },
  {
    name: "an attach does not ask whose job it is",
    file: "src/hub/attach.ts",
    text: "const job = userId === null ? null : await store.findOwn(userId, id);",
    instead: "const job = userId === null ? null : await store.find(id);",
    seed: 11,
  },
  {
    name: "a lost lease is not counted",
    file: "src/jobs/transitions.ts",
    text: "  job.lostLeases += 1;\n",
    instead: "",
    seed: 9,
  },
  {
    name: "the output of an earlier run is not declared void",
    file: "src/jobs/transitions.ts",
    text: '    events.push(logJson(job, at, "output.reset", { reason: job.resetReason ?? "retry" }));\n',
    instead: "",
    seed: 1,
  },
  {
    name: "a receipt for what does not exist is taken",
    file: "src/hub/requests.ts",
    text: "if (seq > record.head)",
    instead: "if (seq < 0)",
    seed: 10,
  },
  {
    name: "a log-out leaves the socket open",
    file: "src/parts.ts",
    text: '    hub.closeSession(id, "revoked");\n',
    instead: "",
    seed: 1,
  },
  {
    name: "a resume begins one entry too late",
    file: "src/hub/attach.ts",
    text: "connection.attach(id, cursor, job.head)",
    instead: "connection.attach(id, cursor + 1, job.head)",
    seed: 1,
  },
  {
    name: "the idempotency key is stored apart from its job",
    file: "src/jobs/execute.ts",
    text: "  if (idempotency !== null) tables.putKey(idempotency, idempotency.fingerprint, job.id, command.at.wallMs);",
    instead:
      "  if (idempotency !== null) queueMicrotask(() => tables.putKey(idempotency, idempotency.fingerprint, job.id, command.at.wallMs));",
    seed: 3,
  },
  {
    name: "a commit of unknown outcome counts as failed",
    file: "src/sqlite/writer.ts",
    text: "    if (committing && !isUndone(error)) throw",
    instead: "    if (committing && !isUndone(error) && requests.length < 0) throw",
    seed: 32,
  },
  {
    name: "a hint that comes again begins a job anew",
    file: "src/hub/watchers.ts",
    text: "connection.know(id);",
    instead: "",
    seed: 6,
  },
  {
    name: "what another node wrote is not read",
    file: "src/hub/watchers.ts",
    text: "        readOn(job);",
    instead: "",
    seed: 15,
  },
  {
    name: "a socket that has drained is not fed again",
    file: "src/hub/connection.ts",
    text: "this.#drained.splice(0)) resume();\n    this.wake();",
    instead: "this.#drained.splice(0)) resume();",
    seed: 1,
  },
];
