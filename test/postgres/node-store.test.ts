/** The contract of nodes on PostgreSQL, by two processes of one database. */
import { afterAll, beforeAll } from "bun:test";
import type { Storage } from "../../src/storage/contract.ts";
import { migratePostgres, openPostgresBeside } from "../../src/storage/postgres.ts";
import { describeNodeStore } from "../conformance/node-store.ts";
import { startPostgres, type PostgresServer } from "../support/postgres.ts";

let server: PostgresServer;
let url = "";
let storages: Storage[] = [];
beforeAll(async () => {
  server = await startPostgres();
  url = await server.database();
  const options = { databaseUrl: url, dataDir: "/unused", durability: "process" } as const;
  await migratePostgres(options);
  storages = [await openPostgresBeside(options), await openPostgresBeside(options)];
});
afterAll(async () => {
  for (const storage of storages) await storage.stop();
  await server.remove();
});

describeNodeStore("PostgreSQL", async () => {
  const [one, other] = storages;
  if (one === undefined || other === undefined) throw new Error("the storages are not open");
  const close = async (): Promise<void> => {
    await server.query(url, "TRUNCATE nodes, installation");
  };
  return { store: one.nodes, beside: other.nodes, close };
});
