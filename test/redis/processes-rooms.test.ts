/** A room whose members are at two processes of one server is one room, wherever the sessions are kept. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { connect, type Client } from "../support/client.ts";
import { apiOf } from "../support/http.ts";
import { startRedis, type RedisServer } from "../support/redis.ts";
import { freshRoom, heard, join, sees, together } from "../support/rooms.ts";
import { startServer } from "../support/server.ts";
import { until } from "../support/wait.ts";

const FILE = '[rooms."kept/*"]\nhistory = 100\n';
const USERS = 8;

let redis: RedisServer;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis.remove());

for (const kept of ["database", "redis"] as const) {
  test(`with sessions in the ${kept}, members hear and see each other across the processes`, async () => {
    await using server = await startServer({
      env: {
        HOLDLINE_PROCESSES: "2",
        HOLDLINE_REDIS_URL: redis.url,
        HOLDLINE_SESSIONS_URL: kept === "database" ? kept : redis.url,
      },
      file: FILE,
    });
    const clients: Client[] = [];
    // The kernel deals them out; which one it was is told by the welcome.
    await until("members at both processes", async () => {
      clients.push(await connect(server));
      return clients.length >= USERS && new Set(clients.map(({ welcome }) => welcome["node"])).size === 2;
    });
    const [lobby, kitchen] = [freshRoom(), `kept/${freshRoom()}`];
    for (const room of [lobby, kitchen]) await Promise.all(clients.map((client) => join(client, room)));
    for (const [index, client] of clients.entries())
      for (const room of [lobby, kitchen])
        for (let n = 0; n < 10; n += 1) client.send({ type: "say", room, data: `${index} ${n}` });
    for (const client of clients)
      for (const room of [lobby, kitchen]) {
        await until("everything to be heard", () => heard(client, room).length >= 10 * clients.length);
        for (const index of clients.keys()) {
          const own = heard(client, room).filter((data) => String(data).startsWith(`${index} `));
          expect(own).toEqual(Array.from({ length: 10 }, (_, n) => `${index} ${n}`));
        }
        // What a room keeps is heard in one order everywhere; all of the first one's has come by then.
        if (room === kitchen) expect(heard(client, room)).toEqual(heard(clients[0] as Client, room));
        for (const { sessionId } of clients) await sees(client, room, sessionId, "online");
      }
    const [leaver, ...others] = clients as [Client, ...Client[]];
    expect((await apiOf(server, leaver.token).call("DELETE", "/v1/sessions/current")).status).toBe(204);
    for (const client of others) {
      await sees(client, lobby, leaver.sessionId, undefined);
      expect(together(client, lobby).size).toBe(others.length);
      await client.close();
    }
  }, 30_000);
}
