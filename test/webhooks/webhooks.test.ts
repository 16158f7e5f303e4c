/** Webhooks against a real server: told once a job has ended, though the receiver, or the server, was away. */
import { describe, expect, test } from "bun:test";
import { Webhook } from "standardwebhooks";
import { createFolder, handlerFile } from "../handler-files/folder.ts";
import { connect } from "../support/client.ts";
import { apiOf, tokensBody, type Api } from "../support/http.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { letTimePass, until } from "../support/wait.ts";
import { startReceiver } from "./receiver.ts";

const SECRET = `whsec_${Buffer.alloc(32, 7).toString("base64")}`;
const HOOKS = {
  HOLDLINE_WEBHOOK_HOSTS: "127.0.0.1",
  HOLDLINE_WEBHOOK_NETWORKS: "127.0.0.0/8",
  HOLDLINE_WEBHOOK_SECRETS: SECRET,
};

interface WebhookBody {
  readonly url: string;
  readonly state: string;
  readonly attempts: number;
  readonly deliveries: readonly { attempt: number; status?: number; error?: string }[];
}

async function webhookOf(api: Api, id: string): Promise<WebhookBody> {
  return (await api.call<WebhookBody>("GET", `/v1/jobs/${id}/webhook`)).body;
}

const inState = (api: Api, id: string, state: string) =>
  until(`the webhook of ${id} to be ${state}`, async () => {
    const body = await webhookOf(api, id);
    return body.state === state && body;
  });

async function start(): Promise<{ server: TestServer; api: Api }> {
  const server = await startServer({ env: HOOKS });
  const session = await fetch(`${server.url}/v1/sessions`, { method: "POST" });
  return { server, api: apiOf(server, ((await session.json()) as { token: string }).token) };
}

describe("a webhook", () => {
  test("tells the whole job, signed, and its delivery can be read", async () => {
    await using receiver = startReceiver();
    const { server, api } = await start();
    await using _ = server;
    const job = await api.submit(
      tokensBody({ tokens: 2 }, { webhook: receiver.url, metadata: { order: "7" } }),
    );
    const told = await inState(api, job.id, "delivered");
    expect(told).toMatchObject({ url: receiver.url, attempts: 1, deliveries: [{ attempt: 1, status: 204 }] });
    const [got] = receiver.received;
    const verified = new Webhook(SECRET).verify(got?.body ?? "", got?.headers ?? {}) as {
      type: string;
      data: unknown;
    };
    expect(verified.type).toBe("job.succeeded");
    expect(verified.data).toEqual(await api.job(job.id));
    expect(got?.headers["webhook-id"]).toBe(job.id);
    expect(got?.headers["content-type"]).toBe("application/json");
    expect(receiver.received).toHaveLength(1);
  });

  test("is sent again after a SIGKILL, under the same id, to a receiver that was away", async () => {
    const away = startReceiver();
    const { port } = new URL(away.url);
    await away[Symbol.asyncDispose]();
    const { server, api } = await start();
    await using _ = server;
    const job = await api.submit(tokensBody({ tokens: 1 }, { webhook: away.url }));
    const failed = await until("an attempt that failed", async () => {
      const body = await webhookOf(api, job.id);
      return body.deliveries.length > 0 && body;
    });
    expect(failed).toMatchObject({ state: "pending", deliveries: [{ attempt: 1, error: "no_connection" }] });
    await server.restart();
    await using receiver = startReceiver(Number(port));
    await inState(api, job.id, "delivered");
    expect(receiver.received.map(({ headers }) => headers["webhook-id"])).toEqual([job.id]);
  });

  test("with a time to wait is not needed once the end was acknowledged", async () => {
    await using receiver = startReceiver();
    const { server, api } = await start();
    await using _ = server;
    const hook = { webhook: receiver.url, webhookAfterMs: 400 };
    {
      await using client = await connect(server, { token: api.token });
      const told = await api.submit(tokensBody({ tokens: 1 }, hook));
      const end = await client.waitForEnd(told.id);
      client.send({ type: "ack", job: told.id, seq: end.seq });
      await inState(api, told.id, "unneeded");
    }
    const untold = await api.submit(tokensBody({ tokens: 1 }, hook));
    await api.finished(untold.id);
    await inState(api, untold.id, "delivered");
    await letTimePass(500);
    expect(receiver.received.map(({ headers }) => headers["webhook-id"])).toEqual([untold.id]);
  });

  test("of its type is for jobs without one of their own", async () => {
    await using receiver = startReceiver();
    await using folder = await createFolder({
      "told.ts": handlerFile("told", "return 1;", `webhook: "${receiver.url}",`),
    });
    const env = { ...HOOKS, HOLDLINE_HANDLERS_DIR: folder.path };
    await using server = await startServer({ env });
    await using client = await connect(server);
    const api = apiOf(server, client.token);
    const own = await api.submit({ type: "told", input: {}, webhook: `${receiver.url}/own` });
    const typical = await api.submit({ type: "told", input: {} });
    await inState(api, own.id, "delivered");
    expect((await webhookOf(api, own.id)).url).toBe(`${receiver.url}/own`);
    expect((await inState(api, typical.id, "delivered")).url).toBe(receiver.url);
    // A host that is not allowed is no start.
    const refused = startServer({ env: { ...env, HOLDLINE_WEBHOOK_HOSTS: "hooks.example.com" } });
    const { message } = await refused.then(
      () => new Error("it started"),
      (error: Error) => error,
    );
    expect(message).toContain("the webhook of the type told names a host");
  });

  test("of a stranger's job, or of none, is not found", async () => {
    const { server, api } = await start();
    await using _ = server;
    await using stranger = await connect(server);
    const job = await api.submit(tokensBody({}, { webhook: "http://127.0.0.1:1/" }));
    const path = `/v1/jobs/${job.id}/webhook`;
    expect((await apiOf(server, stranger.token).call("GET", path)).body.code).toBe("not_found");
    const plain = await api.submit(tokensBody());
    expect((await api.call("GET", `/v1/jobs/${plain.id}/webhook`)).body.code).toBe("not_found");
  });

  test("needs a list of hosts and a secret: a server without them refuses it, one with half of them does not start", async () => {
    await using server = await startServer();
    const session = await fetch(`${server.url}/v1/sessions`, { method: "POST" });
    const api = apiOf(server, ((await session.json()) as { token: string }).token);
    const refused = await api.post(tokensBody({}, { webhook: "https://hooks.example.com/" }));
    expect(refused.body.errors?.[0]?.pointer).toBe("/webhook");
    let message = "";
    await startServer({ env: { HOLDLINE_WEBHOOK_HOSTS: "*" } }).catch((error: Error) => {
      ({ message } = error);
    });
    expect(message).toContain("HOLDLINE_WEBHOOK_SECRETS");
  });
});
