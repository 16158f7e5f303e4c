/** Both example workers against a real server: they stream, heed a cancel, and go on over a restart of the server. */
import { beforeAll, describe, expect, test } from "bun:test";
import { newSession, type Api } from "../support/http.ts";
import { expectWhole } from "../support/log-checker.ts";
import { EXAMPLE_WORKERS, startExample } from "../support/example-worker.ts";
import { sharedServer, startServer } from "../support/server.ts";
import { until, within } from "../support/wait.ts";

const TYPES = { env: { HOLDLINE_WORKER_TYPES: "story,tone" } };
const server = sharedServer(TYPES);
let user: Api;
beforeAll(async () => {
  user = await newSession(server());
});

const WORDS = Array.from({ length: 40 }, (_, n) => `word${n}`).join(" ");
const storyBody = (pauseMs: number, text = WORDS) => ({ type: "story", input: { text, pauseMs } });

async function speaking(api: Api, id: string): Promise<void> {
  await until("some words", async () => (await api.output(id)).text.split(" ").length > 4);
}

describe.each([...EXAMPLE_WORKERS])("examples/%s", (example) => {
  test("streams text word by word, and ends with its result", async () => {
    await using worker = await startExample(server(), example);
    const { id } = await user.submit(storyBody(2));
    const job = await user.finished(id);
    expect(job).toMatchObject({ status: "succeeded", attempt: 1, result: { words: 40 } });
    const log = await user.log(id);
    expect(log[1]?.data).toEqual({ worker: worker.name } as never);
    expect(log.filter(({ kind }) => kind === "output.text")).toHaveLength(40);
    expect((await user.output(id)).text).toBe(WORDS);
  });

  test("gives its jobs back when it is told to end", async () => {
    await using worker = await startExample(server(), example);
    const { id } = await user.submit(storyBody(200));
    await speaking(user, id);
    worker.kill("SIGTERM");
    expect(await within("the worker to end", worker.exited)).toBe(0);
    expect(await user.job(id)).toMatchObject({ status: "retrying", attempt: 1 });
    expect((await user.log(id)).at(-1)?.data).toMatchObject({ reason: "released" });
    await user.cancel(id);
  });

  test("goes on over a SIGKILL of the server with the same run, and says nothing twice", async () => {
    await using mortal = await startServer(TYPES);
    await using worker = await startExample(mortal, example);
    const api = await newSession(mortal);
    const { id } = await api.submit(storyBody(60));
    await speaking(api, id);
    await mortal.restart();
    const job = await api.finished(id);
    expect({ job, said: worker.said() }).toMatchObject({ job: { status: "succeeded", attempt: 1 } });
    const log = await api.log(id);
    expectWhole(log, []);
    expect((await api.output(id)).text).toBe(WORDS);
    expect(log.filter(({ kind }) => kind === "job.started")).toHaveLength(1);
  });
});

test("examples/worker.py plays audio", async () => {
  await using worker = await startExample(server(), "worker.py");
  const { id } = await user.submit({ type: "tone", input: { hz: 440, ms: 500 } });
  expect(await user.finished(id)).toMatchObject({ status: "succeeded", result: { samples: 8000 } });
  const wav = await fetch(`${server().url}/v1/jobs/${id}/audio`, {
    headers: { authorization: `Bearer ${user.token}` },
  });
  expect((await wav.bytes()).byteLength).toBe(44 + 16_000);
  expect(worker.said()).toContain("now succeeded");
});
