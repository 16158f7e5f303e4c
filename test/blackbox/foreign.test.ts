/** What belongs to somebody else looks exactly like what does not exist (PROTOCOL section 3, errors; FAULTS S10). */
import { describe, expect, test } from "bun:test";
import { connect } from "../support/client.ts";
import { apiOf, expectProblem, newSession, tokensBody } from "../support/http.ts";
import { sharedServer } from "../support/server.ts";
import type { Frame, ProblemBody } from "../support/wire.ts";

const server = sharedServer();

const CALLS = [
  ["GET", ""],
  ["GET", "?waitMs=1000"],
  ["GET", "/events"],
  ["GET", "/events?after=999"],
  ["GET", "/output"],
  ["GET", "/audio"],
  ["POST", "/cancel"],
  ["POST", "/retry"],
  ["DELETE", ""],
] as const;

/** The answer without what must differ: ids. */
function anonymous(body: ProblemBody, id: string): string {
  return JSON.stringify({ ...body, traceId: "" }).replaceAll(id, "ID");
}

test.each(CALLS)(
  "%s /v1/jobs/{foreign}%s answers as for an unknown id and changes nothing",
  async (method, path) => {
    const [owner, stranger] = [await newSession(server()), await newSession(server())];
    const { id } = await owner.submit(tokensBody({ audioBytes: 2 }));
    const ended = await owner.finished(id);
    const unknownId = Bun.randomUUIDv7();
    const foreign = await stranger.call(method, `/v1/jobs/${id}${path}`);
    const unknown = await stranger.call(method, `/v1/jobs/${unknownId}${path}`);
    expectProblem(foreign, 404, "not_found");
    expect(anonymous(foreign.body, id)).toBe(anonymous(unknown.body, unknownId));
    expect(await owner.job(id)).toEqual(ended);
  },
);

describe("over the socket", () => {
  const frames: [name: string, frame: (job: string) => object][] = [
    ["attach", (job) => ({ type: "attach", job })],
    ["attach after 5", (job) => ({ type: "attach", job, after: 5 })],
    ["ack", (job) => ({ type: "ack", job, seq: 1 })],
    ["detach", (job) => ({ type: "detach", job })],
  ];
  test.each(frames)(
    "%s answers as for an unknown id, and nothing of the job arrives",
    async (_name, frame) => {
      const owner = await newSession(server());
      const { id } = await owner.submit(tokensBody());
      await owner.finished(id);
      await using stranger = await connect(server());
      const unknownId = Bun.randomUUIDv7();
      const plain = (answer: Frame, job: string) =>
        JSON.stringify({ ...answer, re: "" }).replaceAll(job, "ID");
      const foreign = plain(await stranger.ask(frame(id)), id);
      expect(foreign).toBe(plain(await stranger.ask(frame(unknownId)), unknownId));
      await stranger.settle();
      expect(stranger.events(id)).toEqual([]);
      expect((await owner.job(id)).deliveredAt).toBeUndefined();
    },
  );

  test("a foreign previousJobId is refused as an unknown one", async () => {
    const owner = await newSession(server());
    const { id } = await owner.submit({
      type: "chat",
      input: { messages: [{ role: "user", content: "hi" }] },
    });
    await owner.finished(id);
    const stranger = await newSession(server());
    const ask = (previousJobId: string) =>
      stranger.post({ type: "chat", input: { messages: [{ role: "user", content: "hi" }], previousJobId } });
    const [foreign, unknown] = [await ask(id), await ask(Bun.randomUUIDv7())];
    expectProblem(foreign, 400, "invalid_request");
    expect(foreign.body.errors).toEqual(unknown.body.errors ?? []);
    expect(foreign.body.errors?.map(({ pointer }) => pointer)).toEqual(["/input/previousJobId"]);
  });

  test("a job listed to its owner is not listed to another session's welcome", async () => {
    const owner = await newSession(server());
    await owner.submit(tokensBody());
    await using stranger = await connect(server());
    expect(stranger.welcome.jobs).toEqual([]);
    const list = await apiOf(server(), stranger.token).call<{ items: unknown[] }>("GET", "/v1/jobs");
    expect(list.body.items).toEqual([]);
  });
});
