/** The migrations for PostgreSQL as text inside the program: a compiled binary starts in an empty folder. One line for each file. */
import first from "../../migrations/postgres/0001_jobs_and_sessions.sql" with { type: "text" };
import second from "../../migrations/postgres/0002_clock.sql" with { type: "text" };
import putOff from "../../migrations/postgres/0003_put_off.sql" with { type: "text" };
import rooms from "../../migrations/postgres/0004_rooms.sql" with { type: "text" };
import remoteWorkers from "../../migrations/postgres/0005_remote_workers.sql" with { type: "text" };
import checksums from "../../migrations/postgres/0006_checksums.sql" with { type: "text" };
import roomMessages from "../../migrations/postgres/0007_room_messages.sql" with { type: "text" };
import schedules from "../../migrations/postgres/0008_schedules.sql" with { type: "text" };
import livingSessions from "../../migrations/postgres/0009_living_sessions.sql" with { type: "text" };
import webhooks from "../../migrations/postgres/0010_webhooks.sql" with { type: "text" };
import nodes from "../../migrations/postgres/0011_nodes.sql" with { type: "text" };
import burials from "../../migrations/postgres/0012_burials.sql" with { type: "text" };
import queueMoves from "../../migrations/postgres/0013_queue_moves.sql" with { type: "text" };
import newJobs from "../../migrations/postgres/0014_new_jobs.sql" with { type: "text" };
import { orderMigrations } from "../database/migrations.ts";

export const POSTGRES_MIGRATIONS = orderMigrations({
  "0001_jobs_and_sessions.sql": first,
  "0002_clock.sql": second,
  "0003_put_off.sql": putOff,
  "0004_rooms.sql": rooms,
  "0005_remote_workers.sql": remoteWorkers,
  "0006_checksums.sql": checksums,
  "0007_room_messages.sql": roomMessages,
  "0008_schedules.sql": schedules,
  "0009_living_sessions.sql": livingSessions,
  "0010_webhooks.sql": webhooks,
  "0011_nodes.sql": nodes,
  "0012_burials.sql": burials,
  "0013_queue_moves.sql": queueMoves,
  "0014_new_jobs.sql": newJobs,
});
