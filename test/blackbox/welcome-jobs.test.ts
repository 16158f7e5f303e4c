/** Which jobs `welcome` lists, and that nothing of them flows before the client asks (PROTOCOL section 4). */
import { expect, test } from "bun:test";
import { connect } from "../support/client.ts";
import { type Api, lastingBody, newSession, tokensBody } from "../support/http.ts";
import { sharedServer } from "../support/server.ts";

const server = sharedServer();

async function submitMany(api: Api, count: number): Promise<string[]> {
  const ids: string[] = [];
  for (let n = 0; n < count; n += 1) ids.push((await api.submit(tokensBody({ tokens: 1, size: 1 }))).id);
  for (const id of ids) await api.finished(id);
  return ids.toReversed();
}

test("unfinished ones and finished ones that were not acknowledged, newest first, as they are", async () => {
  const api = await newSession(server());
  const finished = await submitMany(api, 2);
  const { id: running } = await api.submit(lastingBody());
  await api.inStatus(running, "running");
  await using client = await connect(server(), { token: api.token });
  expect(client.welcome.jobs?.map(({ id }) => id)).toEqual([running, ...finished]);
  expect(client.welcome.moreJobs).toBe(false);
  const { head } = await api.job(finished[0] ?? "");
  expect(client.welcome.jobs?.[1]).toEqual({
    id: finished[0] ?? "",
    type: "tokens",
    status: "succeeded",
    attempt: 1,
    head,
    terminal: true,
  });
  expect(client.welcome.jobs?.[0]).toMatchObject({ status: "running", attempt: 1, terminal: false });
});

test("nothing of a listed job flows until the client attaches", async () => {
  const api = await newSession(server());
  const { id } = await api.submit(tokensBody({ tokens: 20, intervalMs: 20 }));
  await using client = await connect(server(), { token: api.token });
  expect(client.welcome.jobs?.map((job) => job.id)).toEqual([id]);
  await api.finished(id);
  await client.settle();
  expect(client.frames("event")).toEqual([]);
});

test("at most 100, and moreJobs says that there are more", async () => {
  const api = await newSession(server());
  const all = await submitMany(api, 101);
  await using crowded = await connect(server(), { token: api.token });
  expect(crowded.welcome.jobs?.map(({ id }) => id)).toEqual(all.slice(0, 100));
  expect(crowded.welcome.moreJobs).toBe(true);
  const { head } = await api.job(all[0] ?? "");
  await crowded.ask({ type: "ack", job: all[0], seq: head });
  await using relieved = await connect(server(), { token: api.token });
  expect(relieved.welcome.jobs?.map(({ id }) => id)).toEqual(all.slice(1));
  expect(relieved.welcome.moreJobs).toBe(false);
});

test("snapshot and registration are one step: a job is listed or attached, never neither, never both", async () => {
  const api = await newSession(server());
  // Submits race the handshake; some land before it, some after.
  const submitting = Promise.all(
    Array.from({ length: 30 }, () => api.submit(tokensBody({ tokens: 1, size: 1 }))),
  );
  await using client = await connect(server(), { token: api.token });
  const ids = (await submitting).map(({ id }) => id);
  const later = await api.submit(tokensBody({ tokens: 1, size: 1 }));
  await client.waitForEnd(later.id);
  const listed = new Set(client.welcome.jobs?.map(({ id }) => id));
  for (const id of ids) {
    if (listed.has(id)) continue;
    await client.waitForEnd(id);
    expect(client.events(id)[0]?.seq).toBe(1);
  }
  for (const id of listed) expect(client.events(id)).toEqual([]);
});
