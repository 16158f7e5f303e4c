/** `holdline jobs`: what an operator looks at and does when work is stuck, beside a running server or without one. */
import { readTrace } from "../http/trace.ts";
import { createIds, type JobId, type UserId } from "../lib/ids.ts";
import type { AdminJobObject } from "../protocol/admin.ts";
import { JOB_STATUSES, type JobStatus } from "../protocol/jobs.ts";
import { type Action, PAGE_FLAGS, readPage, runAction } from "./actions.ts";
import { type Command, type Flag, type Host, UsageError } from "./command.ts";
import { URL_FLAG, withReads, withWrites } from "./operate.ts";
import { settingsFlags } from "./settings-flags.ts";
import { fields, table } from "./table.ts";

function statusOf(text: string | undefined): JobStatus | null {
  if (text === undefined) return null;
  const status = JOB_STATUSES.find((known) => known === text);
  if (status === undefined) throw new UsageError(`--status needs one of ${JOB_STATUSES.join(", ")}.`);
  return status;
}

function tell(job: AdminJobObject, { json, host }: { readonly json: boolean; readonly host: Host }): void {
  host.out(json ? `${JSON.stringify(job)}\n` : fields(job));
}

const list: Action = {
  takes: null,
  flags: ["user", "status", "type", "limit", "cursor"],
  async run({ own, config, json }, host) {
    const { before, limit } = readPage(own);
    const page = await withReads(config, (reads) =>
      reads.jobs({
        userId: (own["user"] ?? null) as UserId | null,
        status: statusOf(own["status"]),
        type: own["type"] ?? null,
        before: before as JobId | null,
        limit,
      }),
    );
    if (json) {
      host.out(`${JSON.stringify(page)}\n`);
      return;
    }
    const rows = page.items.map(({ id, type, status, attempt, createdAt, userId }) => {
      return [id, type, status, String(attempt), createdAt, userId];
    });
    host.out(table([["ID", "TYPE", "STATUS", "ATTEMPT", "CREATED", "USER"], ...rows]));
    if (page.next !== null) host.out(`There are more: --cursor ${page.next}\n`);
  },
};

const show: Action = {
  takes: "ID",
  flags: [],
  run: async ({ word, config, json }, host) =>
    tell(await withReads(config, (reads) => reads.job(word)), { json, host }),
};

const cancel: Action = {
  takes: "ID",
  flags: ["url"],
  run: async ({ word, own, config, json }, host) =>
    tell(await withWrites({ config, url: own["url"] }, (writes) => writes.cancel(word)), { json, host }),
};

const retry: Action = {
  takes: "ID",
  flags: ["url"],
  async run({ word, own, config, json }, host) {
    const trace = readTrace(new Headers(), createIds());
    const job = await withWrites({ config, url: own["url"] }, (writes) => writes.retry(word, trace));
    tell(job, { json, host });
  },
};

const ACTIONS = { list, show, cancel, retry };

const OWN_FLAGS: readonly Flag[] = [
  { name: "user", value: "ID", description: "list: only jobs of this user" },
  { name: "status", value: "STATUS", description: `list: only jobs that are ${JOB_STATUSES.join(", ")}` },
  { name: "type", value: "TYPE", description: "list: only jobs of this type" },
  ...PAGE_FLAGS,
  URL_FLAG,
];

export const jobs: Command = {
  usage: "jobs list | show ID | cancel ID | retry ID",
  about: `list    shows jobs of all users, newest first
show    shows one job
cancel  ends a job, or asks its run to stop
retry   submits a new job like one that has ended, for the same user
What is shown comes from the database. Changes go through the running server, or to the database
when none runs.`,
  words: Object.keys(ACTIONS),
  flags: [...OWN_FLAGS, ...settingsFlags()],
  run: runAction("jobs", ACTIONS, OWN_FLAGS),
};
