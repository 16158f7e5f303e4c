/** `holdline jobs`: beside a running server, which hears of every change, and on the database when none runs. */
import { describe, expect, test } from "bun:test";
import { connect } from "../support/client.ts";
import { apiOf, lastingBody, newSession, tokensBody } from "../support/http.ts";
import { operate, operateJson } from "../support/operator.ts";
import { sharedServer, startServer } from "../support/server.ts";
import type { JobBody } from "../support/wire.ts";

const server = sharedServer();

type AdminJob = JobBody & { userId: string; sessionId?: string };
interface Page {
  items: AdminJob[];
  next: string | null;
}
interface TokenList {
  items: { name: string }[];
}

describe("jobs", () => {
  test("list shows jobs of all users, filtered and in pages, as text and as JSON", async () => {
    await using own = await startServer();
    const [alice, bob] = [await newSession(own), await newSession(own)];
    const done = await alice.submit(tokensBody());
    await alice.finished(done.id);
    const runs = await bob.submit(lastingBody());
    await bob.inStatus(runs.id, "running");

    const list = (...flags: string[]) => operateJson<Page>(own, ["jobs", "list", ...flags]);
    expect((await list()).items.map(({ id, userId }) => [id, userId])).toEqual([
      [runs.id, bob.userId],
      [done.id, alice.userId],
    ]);
    expect((await list("--user", alice.userId)).items.map(({ id }) => id)).toEqual([done.id]);
    expect((await list("--status", "running")).items.map(({ id }) => id)).toEqual([runs.id]);
    expect((await list("--type", "chat")).items).toEqual([]);
    const first = await list("--limit", "1");
    expect((await list("--limit", "1", "--cursor", first.next ?? "")).items.map(({ id }) => id)).toEqual([
      done.id,
    ]);

    const { code, out, err } = await operate(own, ["jobs", "list", "--limit", "1"]);
    expect({ code, err }).toEqual({ code: 0, err: "" });
    const lines = out.split("\n");
    expect(lines[0]).toMatch(/^ID +TYPE +STATUS +ATTEMPT +CREATED +USER$/);
    expect(lines[1]).toMatch(new RegExp(`^${runs.id} +tokens +running +1 +\\S+ +${bob.userId}$`));
    expect(lines[2]).toBe(`There are more: --cursor ${first.next}`);
  });

  test("show tells one job; what users wrote cannot command the terminal", async () => {
    const api = await newSession(server());
    const job = await api.submit(tokensBody({}, { metadata: { note: "a\u001b]0;b\u0007\u009b2Jc" } }));
    await api.finished(job.id);
    const shown = await operateJson<AdminJob>(server(), ["jobs", "show", job.id]);
    expect(shown).toMatchObject({
      id: job.id,
      userId: api.userId,
      status: "succeeded",
      result: { tokens: 3 },
    });
    const { out } = await operate(server(), ["jobs", "show", job.id]);
    expect(out).toMatch(/^status +succeeded$/m);
    expect(out).toMatch(new RegExp(`^userId +${api.userId}$`, "m"));
    expect(out.replaceAll("\n", "")).not.toMatch(/\p{Cc}/u);
  });

  test("cancel goes through the running server: the watching socket and the run hear of it at once", async () => {
    await using client = await connect(server());
    const api = apiOf(server(), client.token);
    const { id } = await api.submit(lastingBody());
    await client.waitForEvent(id, "its start", ({ kind }) => kind === "job.started");
    const canceled = await operateJson<AdminJob>(server(), ["jobs", "cancel", id]);
    expect(["canceling", "canceled"]).toContain(canceled.status);
    expect((await client.waitForEnd(id)).data).toEqual({ reason: "admin" });
    expect((await operateJson<AdminJob>(server(), ["jobs", "cancel", id])).status).toBe("canceled");
  });

  test("retry goes through the running server, which runs the new job", async () => {
    const api = await newSession(server());
    const { id } = await api.submit(tokensBody());
    await api.finished(id);
    const again = await operateJson<AdminJob>(server(), ["jobs", "retry", id]);
    expect(again).toMatchObject({ retryOf: id, userId: api.userId });
    expect((await api.finished(again.id)).status).toBe("succeeded");
  });

  test("its own token for that is gone afterwards, also when the call failed", async () => {
    const { code, err } = await operate(server(), ["jobs", "cancel", Bun.randomUUIDv7()]);
    expect({ code, err }).toEqual({ code: 1, err: "holdline: No such job.\n" });
    const { items } = await operateJson<TokenList>(server(), ["token", "list"]);
    expect(items.filter(({ name }) => name === "command line")).toEqual([]);
  });

  test("cancel and retry work on the database when no server runs; the next one goes on from there", async () => {
    await using own = await startServer();
    const api = await newSession(own);
    const done = await api.submit(tokensBody());
    await api.finished(done.id);
    const runs = await api.submit(lastingBody());
    await api.inStatus(runs.id, "running");
    await own.kill("SIGKILL");

    expect((await operateJson<AdminJob>(own, ["jobs", "show", runs.id])).status).toBe("running");
    expect((await operateJson<AdminJob>(own, ["jobs", "cancel", runs.id])).status).toBe("canceling");
    const again = await operateJson<AdminJob>(own, ["jobs", "retry", done.id]);
    expect(again).toMatchObject({ status: "queued", retryOf: done.id, userId: api.userId });
    const running = await operate(own, ["jobs", "retry", runs.id]);
    expect(running).toMatchObject({
      code: 1,
      err: "holdline: The job has not ended yet; cancel it first.\n",
    });

    await own.restart();
    expect((await api.finished(again.id)).status).toBe("succeeded");
    expect((await api.finished(runs.id)).status).toBe("canceled");
    expect((await api.log(runs.id)).at(-1)?.data).toEqual({ reason: "admin" });
  });

  test("says where to look when the server is not where the configuration says, or another one is there", async () => {
    await using other = await startServer();
    const api = await newSession(server());
    const { id } = await api.submit(lastingBody());
    const { dataFolder } = server();
    const nobody = await operate({ dataFolder, port: 1 }, ["jobs", "cancel", id]);
    expect(nobody).toMatchObject({ code: 1, out: "" });
    expect(nobody.err).toContain(
      `no server of this installation answers at http://127.0.0.1:1; one listens at ${server().url} (`,
    );
    const elsewhere = await operate({ dataFolder, port: other.port }, ["jobs", "cancel", id]);
    expect(elsewhere).toMatchObject({ code: 1, out: "" });
    expect(elsewhere.err).toContain(`is ${other.url} a server of this installation?`);
    const told = await operate({ dataFolder, port: 1 }, ["jobs", "cancel", id, "--url", server().url]);
    expect(told.code).toBe(0);
    await api.finished(id);
  });

  const mistakes: [argv: string[], message: string][] = [
    [[], "jobs needs one of list, show, cancel, retry: holdline jobs list"],
    [["show"], "jobs show takes one ID: holdline jobs show ID"],
    [["list", "x"], "jobs list takes options only: holdline jobs list"],
    [["list", "--status", "done"], "--status needs one of queued, running, "],
    [["list", "--limit", "201"], "--limit needs a whole number from 1 to 200."],
    [["list", "--limit", "x"], "--limit needs a whole number from 1 to 200."],
    [["list", "--cursor", "x"], "--cursor needs what an earlier list ended with."],
    [["show", "x", "--status", "running"], "--status means nothing to jobs show."],
    [["list", "--url", "http://127.0.0.1:1"], "--url means nothing to jobs list."],
  ];
  test.each(mistakes)("refuses %j with exit code 2 and a sentence", async (argv, message) => {
    const { code, out, err } = await operate(server(), ["jobs", ...argv]);
    expect({ code, out }).toEqual({ code: 2, out: "" });
    expect(err).toStartWith(`holdline: ${message}`);
  });
});
