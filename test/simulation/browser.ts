/** A user with a browser: hands jobs in, watches them, changes his mind, reloads, logs out, and loses his network. */
import type { JobHandle } from "../../src/client/handle.ts";
import type { SubmitBody } from "../../src/protocol/jobs.ts";
import { toEventText } from "../../src/jobs/event-text.ts";
import { textAfter } from "./deliveries.ts";
import type { Model } from "./model.ts";
import { SERVER_URL, type Link, type Network } from "./network.ts";
import { openPage, type Kept, type Page } from "./page.ts";
import type { Random } from "./random.ts";
import { nowAndThen, violate, type Scene } from "./scene.ts";
import { drawScript, type Script } from "./script.ts";
import { makeUserToken } from "./tokens.ts";

interface Wish {
  readonly body: SubmitBody;
  readonly key: string;
}

export interface Browser {
  start(): void;
  /** Faults are over: comes back, and follows everything that it ever asked for. */
  heal(): void;
  /** What it still waits for; null when it has seen everything. */
  waitsFor(): string | null;
}

export interface BrowserOptions {
  readonly scene: Scene;
  readonly model: Model;
  readonly network: Network;
  readonly name: string;
  readonly user: string;
  /** What was asked for, by everybody. */
  readonly scripts: Map<string, Script>;
}

function drawBody(random: Random, script: Script, types: readonly string[]): SubmitBody {
  const perhaps = (probability: number, options: Partial<SubmitBody>): Partial<SubmitBody> =>
    random.chance(probability) ? options : {};
  return {
    type: random.pick(types),
    input: script,
    metadata: { wish: script.wish },
    timeoutMs: random.pick([3000, 20_000]),
    maxAttempts: random.between(1, 3),
    ...perhaps(0.2, { priority: random.int(10) }),
    ...perhaps(0.15, { startWithinMs: random.pick([100, 5000]) }),
    ...perhaps(0.1, { firstOutputMs: 1000 }),
    ...perhaps(0.1, { idleMs: 1000 }),
    ...perhaps(0.15, { retryAfterOutput: false }),
    ...perhaps(0.15, { lane: random.pick(["one", "two"]) }),
    ...perhaps(0.15, { onDisconnect: "cancel", orphanMs: random.pick([0, 2000]) }),
  };
}

export function createBrowser(options: BrowserOptions): Browser {
  const { scene, model, network, name, user, scripts } = options;
  const { timeline, faults, wall, sometimes } = scene;
  const random = scene.random.fork();
  const link: Link = network.createLink(name, random.fork());
  const wishes: Wish[] = [];
  let tokens = 0;
  let pages: Page[] = [];
  let opened = 0;
  const types = ["script", "rolled", ...(faults.workers > 0 ? ["remote"] : [])];

  const open = (kept: Kept): Page => {
    opened += 1;
    const page = openPage({
      scene,
      model,
      network,
      link,
      random: random.fork(),
      name: `${name}/${opened}`,
      kept,
      userToken() {
        tokens += 1;
        return makeUserToken(user, tokens, wall.nowMs(), faults.userTokenMs);
      },
    });
    pages.push(page);
    page.client.connect();
    for (const { id, cursor, type } of page.client.remembered) {
      const after = random.chance(0.7) ? cursor : 0;
      page.watch(page.client.job(id, { after, type }), after);
    }
    return page;
  };

  const present = (): Page => pages.at(-1) ?? open(new Map());

  const submit = (page: Page, { body, key }: Wish): void => {
    page.watch(page.client.submit(body, { idempotencyKey: key }), 0);
  };

  const handleOf = (page: Page): JobHandle | null => {
    const handles = [...page.watched].filter(({ id, ended }) => id !== null && ended === null);
    return handles.length === 0 ? null : random.pick(handles);
  };

  const ownJobs = (): string[] => {
    const own = new Set(wishes.map(({ key }) => key));
    return [...model.jobs.values()]
      .filter(({ wish, purged }) => own.has(wish) && !purged)
      .map(({ id }) => id);
  };

  /** Reads over HTTP what a job has to say, and compares. */
  const read = async (page: Page, id: string): Promise<void> => {
    const job = model.job(id);
    if (job === null) return;
    const after = random.int(job.log.length + 1);
    const what = random.pick([`events?after=${after}`, "output"]);
    const response = await page.client.fetch(`/v1/jobs/${id}/${what}`);
    if (response.status !== 200) return;
    sometimes.reached(`read over HTTP: ${what.slice(0, 6)}`);
    const body = (await response.json()) as {
      text: string;
      seq: number;
      events: { seq: number; kind: string }[];
    };
    if (what === "output") {
      if (job.oldest === 1 && body.text !== textAfter(job, body.seq))
        violate(scene, "what is seen is stored", `${name} output of ${job.wish}`);
      return;
    }
    body.events.forEach(({ seq, kind }, index) => {
      if (seq !== after + index + 1 || job.log[seq - 1]?.kind !== kind)
        violate(scene, "what is seen is stored", `${name} events of ${job.wish}: ${seq} after ${after}`);
    });
  };

  /** A call beside the client's own, with its session's token; null without a session. */
  const call = (page: Page, method: string, path: string, accept: string): Promise<Response> | null => {
    const stored = page.kept.get(`holdline:${SERVER_URL}`);
    const token = stored === undefined ? null : (JSON.parse(stored) as { token: string | null }).token;
    if (token === null) return null;
    const headers = { Authorization: `Bearer ${token}`, Accept: accept };
    return network.fetch(link, page.process)(SERVER_URL + path, { method, headers });
  };

  const logOut = (page: Page): void => {
    call(page, "DELETE", "/v1/sessions/current", "*/*")?.catch(() => undefined);
  };

  const remove = (page: Page, id: string): void => {
    call(page, "DELETE", `/v1/jobs/${id}`, "*/*")?.catch(() => undefined);
  };

  /** Follows a log over HTTP to its end, and compares. */
  const follow = async (page: Page, id: string): Promise<void> => {
    const job = model.job(id);
    if (job === null) return;
    const after = random.int(job.log.length + 1);
    const response = await call(page, "GET", `/v1/jobs/${id}/events?after=${after}`, "application/x-ndjson");
    if (response?.status !== 200) return;
    const lines = (await response.text()).split("\n").filter((line) => line !== "");
    lines.forEach((line, index) => {
      const stored = job.log[after + index];
      if (stored === undefined || line !== toEventText(job.id, stored))
        violate(scene, "what is seen is stored", `${name} follows ${job.wish}: ${line}`);
    });
    const isWhole = job.terminal && after + lines.length === job.log.length;
    if (isWhole) sometimes.reached("a log is followed over HTTP to its end");
    else if (job.oldest === 1 && !job.purged && page.client.state.phase !== "closed")
      sometimes.reached("a log that is followed over HTTP breaks off");
  };

  const refresh = (page: Page): void => {
    const isForeign = random.chance(0.1);
    tokens += 1;
    const token = makeUserToken(isForeign ? "mallory" : user, tokens, wall.nowMs(), faults.userTokenMs);
    sometimes.reached(isForeign ? "a foreign token is shown" : "a token is refreshed");
    page.client.request({ type: "refresh", token }).catch(() => undefined);
  };

  const reload = (page: Page): void => {
    page.leave(random.chance(0.5));
    pages = pages.filter((one) => one !== page);
    const kept: Kept = random.chance(0.75) ? page.kept : new Map();
    sometimes.reached(kept === page.kept ? "a page is reloaded" : "a page is lost");
    timeline.after(random.between(1, 2000), () => {
      if (pages.length === 0) open(kept);
    });
  };

  const fresh = (page: Page): void => {
    const key = `${name}.${wishes.length + 1}`;
    const script = drawScript(random, key);
    const wish = { body: drawBody(random, script, types), key };
    scripts.set(key, script);
    wishes.push(wish);
    submit(page, wish);
  };

  const again = (page: Page): void => {
    if (wishes.length === 0) return;
    const wish = random.pick(wishes);
    sometimes.reached("a wish is handed in again");
    submit(page, wish);
  };

  const act = (): void => {
    const page = present();
    if (page.client.state.phase === "closed" && random.chance(0.5)) page.client.connect();
    const draw = random.next();
    if (draw < faults.reload) return reload(page);
    if (random.chance(faults.logOut)) return logOut(page);
    if (random.chance(faults.twoTabs)) return void open(new Map(page.kept));
    const jobs = ownJobs();
    switch (random.int(15)) {
      case 0:
        handleOf(page)
          ?.cancel()
          .catch(() => undefined);
        return;
      case 1:
        page.client.dropConnection(random.pick([0, 500, 8000]));
        return;
      case 2: {
        const handle = handleOf(page);
        if (handle !== null) page.drop(handle);
        return;
      }
      case 3:
      case 4: {
        if (jobs.length === 0) return;
        const id = random.pick(jobs);
        const known = [...page.watched].some((handle) => handle.id === id && handle.ended === null);
        if (!known) page.watch(page.client.job(id), 0);
        return;
      }
      case 5:
      case 6:
        if (jobs.length > 0) void read(page, random.pick(jobs)).catch(() => undefined);
        return;
      case 7:
        return again(page);
      case 8:
        if (jobs.length > 0 && random.chance(0.5)) remove(page, random.pick(jobs));
        return;
      case 9:
        if (jobs.length > 0) void follow(page, random.pick(jobs)).catch(() => undefined);
        return;
      case 10:
        return refresh(page);
      default:
        if (wishes.length < 8) fresh(page);
    }
  };

  return {
    start() {
      open(new Map());
      nowAndThen(scene, random, faults.actMs, act);
      nowAndThen(scene, random, faults.partitionMs, () => {
        link.darkUntilMs = timeline.nowMs + random.pick([500, 5000, 40_000]);
        scene.trace.note(`${name} is cut off until ${link.darkUntilMs}`);
        sometimes.reached("a client is cut off");
      });
    },
    heal() {
      const page = present();
      for (const other of pages.slice(0, -1)) other.leave(false);
      pages = [page];
      if (page.client.state.phase === "closed") page.client.connect();
      const followed = new Set([...page.watched].map(({ id }) => id));
      for (const id of ownJobs()) if (!followed.has(id)) page.watch(page.client.job(id), 0);
    },
    waitsFor() {
      const page = present();
      // What was under way when faults ended, such as a log-out, may still close it: its user comes back.
      if (page.client.state.phase === "closed") page.client.connect();
      if (page.client.state.phase !== "online") return `${page.name} is ${page.client.state.phase}`;
      for (const { id, ended, status, cursor } of page.watched)
        if (ended === null)
          return `${page.name} waits for ${model.job(id ?? "")?.wish ?? id} (${status} ${cursor})`;
      return null;
    },
  };
}
