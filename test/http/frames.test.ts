/** What really goes over the socket is what /asyncapi.json says: every frame of the server, and what it makes of a client's. */
import { beforeAll, describe, expect, test } from "bun:test";
import { connect, type Client } from "../support/client.ts";
import { apiOf, type Api } from "../support/http.ts";
import { faultsOf, type JsonSchema } from "./json-schema.ts";
import { sharedApp } from "./real-app.ts";

// Tokens live so short that a fresh one is sent while a test looks on.
const app = sharedApp({ "ping-ms": "40", "session-token-ms": "1500" });

interface Published {
  readonly channels: {
    readonly connect: { readonly "x-close-codes": readonly { code: number; name: string }[] };
  };
  readonly components: { readonly messages: Readonly<Record<string, { readonly payload: JsonSchema }>> };
}

let document: Published;
beforeAll(async () => {
  document = (await (await fetch(`${app().url}/asyncapi.json`)).json()) as Published;
});

/** Everything that is wrong with the frames that arrived, in words. */
function faultsIn(client: Client): string[] {
  return client.frames().flatMap((frame) => {
    const message = document.components.messages[`server.${frame.type}`];
    if (message === undefined) return [`${frame.type} is not described`];
    return faultsOf(message.payload, frame, { root: document, strict: true }).map(
      (fault) => `${frame.type}: ${fault}`,
    );
  });
}

async function submit(api: Api, input: Record<string, unknown>): Promise<string> {
  return (await api.submit({ type: "everything", input })).id;
}

describe("frames of the server are described", () => {
  test("from the welcome over every kind of entry to the receipt", async () => {
    await using client = await connect(app());
    const api = apiOf(app(), client.token);
    const job = await submit(api, {});
    await client.waitForEnd(job);
    expect(await client.ask({ type: "ack", job, seq: (await api.job(job)).head })).toMatchObject({
      type: "ok",
    });
    expect(await client.attach(job, 0)).toMatchObject({ type: "attached", recovered: true });
    expect(await client.attach(job, 99)).toMatchObject({
      type: "attached",
      recovered: false,
      reason: "ahead",
    });
    expect(await client.attach(Bun.randomUUIDv7())).toMatchObject({ type: "error", code: "not_found" });
    await client.waitFor("a ping", ({ type }) => type === "ping");
    await client.waitFor("a fresh token", ({ type }) => type === "token");
    const types = new Set(client.frames().map(({ type }) => type));
    expect(types).toEqual(new Set(["welcome", "event", "ok", "attached", "error", "ping", "token"]));
    expect(faultsIn(client)).toEqual([]);
    const binary = client.events(job).filter(({ kind, seq }) => kind === "output.audio" && seq > 0);
    expect(binary.length).toBeGreaterThan(0);
  });

  test("up to the goodbye, whose code is listed under its name", async () => {
    await using client = await connect(app());
    await apiOf(app(), client.token).call("DELETE", "/v1/sessions/current");
    const { code, reason } = await client.waitForClose();
    expect(client.frames("goodbye")).toMatchObject([{ code, reason }]);
    expect(faultsIn(client)).toEqual([]);
    const listed = document.channels.connect["x-close-codes"].find((one) => one.code === code);
    expect(listed?.name).toBe(reason);
  });

  test("when a run fails for good", async () => {
    await using client = await connect(app());
    const job = await submit(apiOf(app(), client.token), { fail: true });
    expect((await client.waitForEnd(job)).kind).toBe("job.failed");
    expect(faultsIn(client)).toEqual([]);
  });
});
