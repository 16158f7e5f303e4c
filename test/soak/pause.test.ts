/** R20 as long as it is written down: a minute without the process, with the settings that everybody has. */
import { expect, test } from "bun:test";
import { connect } from "../support/client.ts";
import { apiOf, tokensBody } from "../support/http.ts";
import { expectWhole } from "../support/log-checker.ts";
import { startServer } from "../support/server.ts";
import { letTimePass } from "../support/wait.ts";

const MINUTE_MS = 60_000;

test(
  "faults/R20 a minute of SIGSTOP: 50 clients and their jobs go on where they were",
  async () => {
    await using server = await startServer();
    const all = await Promise.all(
      Array.from({ length: 50 }, async () => {
        const client = await connect(server);
        const { id } = await apiOf(server, client.token).submit(
          tokensBody({ tokens: 100, intervalMs: 50, size: 8 }, { idleMs: 10_000, timeoutMs: 30_000 }),
        );
        await client.waitForEvent(id, "the first words", ({ seq }) => seq > 5);
        return { client, id };
      }),
    );
    await server.kill("SIGSTOP");
    await letTimePass(MINUTE_MS);
    await server.kill("SIGCONT");
    for (const { client, id } of all) {
      await client.waitForEnd(id);
      const api = apiOf(server, client.token);
      expect(await api.job(id)).toMatchObject({ status: "succeeded", attempt: 1 });
      expectWhole(await api.log(id), [{ after: 0, events: client.events(id) }]);
      expect(client.closed).toBeNull();
      await client.close();
    }
  },
  5 * MINUTE_MS,
);
