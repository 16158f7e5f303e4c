/** Every statement of the SQLite drivers goes by an index: asked of SQLite's own planner, for all that was prepared. */
import { afterAll, describe, expect, test } from "bun:test";
import { createSqliteJobReads } from "../../src/jobs/sqlite/reads.ts";
import { createSqliteJobStore } from "../../src/jobs/sqlite/store.ts";
import type { SessionId } from "../../src/lib/ids.ts";
import { createSqliteRoomHistory } from "../../src/sessions/history/sqlite.ts";
import { createSqliteRevocationStore } from "../../src/sessions/revocations/sqlite.ts";
import { createSqliteSessionStore } from "../../src/sessions/sqlite.ts";
import { openSqlite } from "../../src/sqlite/database.ts";
import { migrate } from "../../src/sqlite/migrate.ts";
import { SQLITE_MIGRATIONS } from "../../src/sqlite/migrations.ts";
import { createInlineWriter } from "../../src/sqlite/writer.ts";
import { createParticipants } from "../../src/storage/participants.ts";
import { drive, nextJobId, SESSION, USER } from "../conformance/drive.ts";

const connection = openSqlite({ path: ":memory:", durability: "process" });
afterAll(() => connection.close());
migrate(connection.raw, SQLITE_MIGRATIONS);

/** All SQL that came by the connection from here on. */
const prepared = new Set<string>();
const { raw } = connection;
const prepare = raw.prepare.bind(raw);
raw.prepare = (text: string, ...rest: []) => {
  prepared.add(text);
  return prepare(text, ...rest);
};

const writer = createInlineWriter(raw, createParticipants(connection));
const store = createSqliteJobStore(writer, createSqliteJobReads(connection));
const sessions = createSqliteSessionStore(writer, connection);

/** What is not prepared ahead is prepared when it is used: so it is used here. */
async function useEverything(): Promise<void> {
  const on = drive(store);
  const run = await on.started({ sessionId: SESSION, lane: "lane", key: "key" });
  await on.succeed(run);
  await on.execute("purge", { id: run.id });
  await on.submit();
  for (const status of [null, "queued"] as const) {
    for (const type of [null, "work"]) {
      for (const before of [null, nextJobId()]) {
        for (const userId of [null, USER]) await store.list({ userId, status, type, before, limit: 2 });
      }
    }
  }
  await store.position(run.id);
  await store.waiting();
  await store.heads([run.id]);
  await store.newJobsOf({ sessions: [SESSION], after: run.id, limit: 1 });
  on.pass(10);
  await on.retain();
  const id = "session" as SessionId;
  await sessions.away({ id, nodeId: "node", awayBy: 1, expiresBy: 1, at: 1 });
  await sessions.touch([{ id, at: 1, expiresBy: 1 }]);
  await sessions.create({
    id,
    userId: USER,
    nodeId: "node",
    createdAt: 1,
    connectedAt: 1,
    lastSeenAt: 1,
    presence: "online",
    presenceAt: 1,
    chosenPresence: "online",
    rooms: [],
    binding: null,
    awayBy: null,
    expiresBy: null,
    endedAt: null,
  });
  const history = createSqliteRoomHistory(writer, connection);
  const message = { room: "room", id: "message", from: null, data: "1", at: 1 };
  await history.append(message, 0);
  await history.append({ ...message, id: "next" }, 0);
  await history.append({ ...message, id: "last" }, 0);
  await history.find("room", "next");
  await history.before("room", 1);
  await history.page("room", 0, 10);
  await history.sweep(1, 1);
  await sessions.choose(id, "busy", 1);
  await sessions.enter({ id, room: "room", most: 1 });
  await sessions.inRooms(null, 1);
  await sessions.inRooms(id, 1);
  await sessions.leave(id, "room");
  await sessions.recover({ nodeId: "node", awayBy: 1, expiresBy: 1, at: 1 });
  await sessions.connected({ id, nodeId: "node", at: 1, binding: null });
  await sessions.end(id, 1, 1);
  await sessions.sweep(1, 1, 1);
  await sessions.findOwn(USER, id);
  await sessions.listOf(USER, 1);
  await sessions.count();
  const revocations = createSqliteRevocationStore(writer, connection);
  await revocations.revoke({ kind: "user", subject: "u", before: 1, until: 1 });
  await revocations.forget(1);
  await revocations.list(1);
}
await useEverything();

function planOf(text: string): string[] {
  return raw
    .query<{ detail: string }, []>(`EXPLAIN QUERY PLAN ${text}`)
    .all()
    .map(({ detail }) => detail);
}

/** The plans of all statements that hold every one of these pieces. */
function plansWith(...pieces: string[]): string[][] {
  return [...prepared].filter((text) => pieces.every((piece) => text.includes(piece))).map(planOf);
}

/** Read whole on purpose: at start, or because they are small. */
const WHOLE = [
  // What is unfinished, once at start and after a rollback.
  `from "jobs" where "jobs"."status" in`,
  // A node's sessions, once at start; revocations are few.
  `update "sessions" set "connected_at" = ?, "presence" = CASE`,
  `from "revocations"`,
];

/** Sorted on purpose: of many sessions each has few of them. */
const SORTED = [`"jobs"."session_id" IN (SELECT value FROM json_each(?))`];

test("no statement reads a whole table, save those that mean to", () => {
  expect(prepared.size).toBeGreaterThan(40);
  const scans = [...prepared]
    .filter((text) => !WHOLE.some((piece) => text.includes(piece)))
    .filter((text) =>
      planOf(text).some((detail) =>
        /^SCAN (?!.*(USING .*INDEX|CONSTANT ROW|front|json_each VIRTUAL TABLE))/.test(detail),
      ),
    );
  expect(scans).toEqual([]);
});

test("no statement sorts what an index could have in order", () => {
  const sorts = [...prepared]
    .filter((text) => ![...WHOLE, ...SORTED].some((piece) => text.includes(piece)))
    .filter((text) => planOf(text).some((detail) => detail.includes("TEMP B-TREE")));
  expect(sorts).toEqual([]);
});

describe("the index of", () => {
  const hot: readonly [what: string, index: string, pieces: string[]][] = [
    ["the jobs that are ready", "jobs_ready", ["due = 1", `order by "jobs"."priority" desc`]],
    ["the place in the queue", "jobs_ready", ["count(*)", "front"]],
    ["jobs that wait, counted", "jobs_ready", ["select count(*)", "where due = 1"]],
    ["living sessions, counted", "sessions_living", ["select count(*)", `from "sessions"`]],
    ["jobs whose back-off is over", "jobs_waiting", [`update "jobs" set "due"`, "due = 0"]],
    ["the next job whose back-off ends", "jobs_waiting", [`select "ready_by"`, "due = 0"]],
    ["jobs that were put off and are due", "jobs_put_off", [`"ready_by" <= ?`, "due = 2"]],
    ["the next job that was put off", "jobs_put_off", [`select "ready_by"`, "due = 2"]],
    ["jobs that wait for a time of day", "jobs_put_off", ["max(run_at"]],
    ["late starts", "jobs_start", [`"start_by" <= ?`]],
    ["cancels that are not heeded", "jobs_cancel", [`"cancel_by" <= ?`]],
    ["leases that ran out", "jobs_lease", [`"lease_by" <= ?`]],
    ["leases to renew", "jobs_lease", [`update "jobs" set "lease_by"`]],
    ["remote runs over time", "jobs_run", [`"run_by" <= ?`]],
    ["remote runs without output", "jobs_quiet", [`"quiet_by" <= ?`]],
    ["leases of remote workers", "jobs_lease", [`max("jobs"."run_by"`]],
    ["leases of earlier processes", "jobs_lease", ["like ?"]],
    ["a lane", "jobs_lane", [`"lane" = ?`, "limit"]],
    ["a session's open jobs", "jobs_session", ["acknowledged = 0"]],
    ["a session's new jobs", "jobs_session", ["json_each(?)", "acknowledged = 0"]],
    ["jobs of lost sockets", "jobs_orphan", ["where (cancel_on_disconnect = 1 and"]],
    ["a session's jobs that a log-out cancels", "jobs_session", ["acknowledged = 0 and cancel_on"]],
    ["a user's list", "jobs_user", [`"jobs"."user_id" = ?`, `order by "jobs"."id" desc`]],
    ["logs to trim", "jobs_untrimmed", [`"finished_at" < ?`, "trimmed = 0"]],
    ["purged logs", "jobs_purged", [`"purged_at" is not null`]],
    ["old keys", "idempotency_keys_age", [`"created_at" < ?`]],
    ["sessions that expired", "sessions_expiry", [`"expires_by" <= ?`, "select"]],
    ["ended sessions", "sessions_forget", [`"forget_at" <= ?`, "select"]],
    ["a room's messages", "room_messages_order", [`from "room_messages"`, `"room_messages"."num" > ?`]],
    ["a room's last messages", "room_messages_order", [`from "room_messages"`, "offset"]],
    ["messages that are too many", "room_messages_order", [`delete from "room_messages"`, "<="]],
    ["a message", "room_messages_id", [`from "room_messages"`, `"room_messages"."id" = ?`]],
    ["old messages", "room_messages_age", [`"room_messages"."at" < ?`]],
    ["members of rooms", "sessions_in_rooms", [`<> '[]'`]],
    ["a user's sessions", "sessions_user", [`"sessions"."user_id" = ?`, "order by"]],
  ];
  test.each(hot)("%s is %s", (_what, index, pieces) => {
    const plans = plansWith(...pieces);
    expect(plans.length).toBeGreaterThan(0);
    for (const plan of plans) expect(plan.join("\n")).toMatch(new RegExp(`INDEX ${index}\\b`));
  });

  test("an entry is the table itself, from one row to another", () => {
    const plans = plansWith(`from "job_events"`);
    expect(plans.length).toBeGreaterThan(2);
    for (const plan of plans) expect(plan.join()).toMatch(/^SEARCH job_events USING INTEGER PRIMARY KEY/);
  });
});
