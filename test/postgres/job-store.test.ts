/** The job store contract on PostgreSQL. */
import { afterAll } from "bun:test";
import { describeJobStore } from "../conformance/job-store.ts";
import { sharePostgres } from "./storage.ts";

const shared = sharePostgres();
afterAll(() => shared.end());
describeJobStore("PostgreSQL", () => shared.openJobs());
