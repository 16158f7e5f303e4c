/**
 * A client that never gives up, for fault tests: it submits under idempotency keys until it is answered, reconnects with
 * its session token until it is welcome, attaches to what `welcome` lists from where it stood, and keeps the record of
 * what every connection brought. It follows PROTOCOL sections 3 to 5 and nothing else.
 */
import { connect, dial, type Client } from "./client.ts";
import { type Api, apiOf } from "./http.ts";
import type { Delivery } from "./log-checker.ts";
import { letTimePass, until, within } from "./wait.ts";
import type { JobBody, ReceivedEvent } from "./wire.ts";

/** Faults may meet the same job or connection several times. */
const LIMIT_MS = 120_000;
/** A server answers, if only that it cannot. */
const ANSWER_MS = 30_000;
const PAUSE_MS = 100;

/** A server that it may talk to. */
export interface Place {
  readonly url: string;
}

export interface StubbornOptions {
  /** Who it is; without it, whoever an open server takes it for. */
  readonly userToken?: string;
  /** From 0 to 1 (exclusive): which place is next. */
  readonly random?: () => number;
}

/** A connection that ended, and the next one. */
export interface Move {
  readonly code: number;
  /** `Date.now()` of the end. */
  readonly lostAt: number;
  /** From the end to the `welcome` of the next one. */
  readonly awayMs: number;
  readonly resumed: boolean;
}

export interface StubbornClient extends AsyncDisposable {
  readonly sessionId: string;
  /** Its connections so far, the newest last. */
  readonly clients: readonly Client[];
  readonly moves: readonly Move[];
  /** Why a connection was not welcome, by close code; the reasons of a place that is down are not told apart. */
  readonly refusals: ReadonlyMap<number, number>;
  /** Speaks HTTP with the session's newest token, to one of the places. */
  api(): Api;
  /** Returns once a 202 was read; however often it had to ask, the key makes it one job. */
  submit(key: string, body: unknown): Promise<JobBody>;
  /** Resolves when the terminal event of the job has arrived on some connection, and receipts it. */
  finished(job: string): Promise<void>;
  /** What each connection brought of this job, in order. */
  deliveries(job: string): Delivery[];
  /** Events received in all, over all connections. */
  eventCount(): number;
  /** Connections made so far. */
  readonly connections: number;
}

/** One connection and from where it follows which jobs; a job not named here was attached by submitting it. */
interface Link {
  readonly client: Client;
  readonly cursors: Map<string, number>;
}

function follow(links: readonly Link[], job: string): Delivery[] {
  return links.flatMap(({ client, cursors }) => {
    const events = client.events(job);
    return events.length === 0 ? [] : [{ after: cursors.get(job) ?? 0, events }];
  });
}

function lastEvent(links: readonly Link[], job: string): ReceivedEvent | undefined {
  return follow(links, job).at(-1)?.events.at(-1);
}

/** The session is over: no place will take it any more. */
const HOPELESS: ReadonlySet<number> = new Set([4501, 4502]);

interface Homecoming {
  readonly place: () => Place;
  readonly token: string;
  readonly refusals: Map<number, number>;
}

/** Dials until a `welcome` comes; a refused or broken connection is tried again at once, wherever that is. */
async function comeBack({ place, token, refusals }: Homecoming): Promise<Client> {
  return until(
    "a server to welcome us back",
    async () => {
      const client = dial(place(), { token });
      try {
        await client.waitFor("welcome", ({ type }) => type === "welcome");
        return client;
      } catch {
        const { code } = client.closed ?? (await client.close());
        refusals.set(code, (refusals.get(code) ?? 0) + 1);
        if (HOPELESS.has(code)) throw new Error(`the session was refused with ${code}`);
        return null;
      }
    },
    LIMIT_MS,
  );
}

/** Again while the server says that it cannot now. Rejects when the connection ends: the next one attaches anew. */
async function attach(client: Client, job: string, after: number): Promise<void> {
  for (;;) {
    const answer = await client.attach(job, after);
    if (answer.type !== "error" || answer.retryable !== true) return;
    await letTimePass(PAUSE_MS);
  }
}

/** Ids of all jobs of this user, newest first. */
export async function listJobs(asking: Api): Promise<string[]> {
  const ids: string[] = [];
  for (let query = "?limit=200"; query !== "";) {
    const { body } = await asking.call<{ items: JobBody[]; next: string | null }>("GET", `/v1/jobs${query}`);
    ids.push(...body.items.map(({ id }) => id));
    query = body.next === null ? "" : `?limit=200&cursor=${body.next}`;
  }
  return ids;
}

/** Connects a new session and keeps it connected until it is disposed of: to one place, or to any of several. */
export async function openStubbornClient(
  where: Place | readonly Place[],
  { userToken, random = Math.random }: StubbornOptions = {},
): Promise<StubbornClient> {
  const places = [where].flat();
  const place = (): Place => {
    const drawn = places[Math.floor(random() * places.length)];
    if (drawn === undefined) throw new Error("nowhere to go");
    return drawn;
  };
  const first = await connect(place(), userToken === undefined ? {} : { token: userToken });
  const links: Link[] = [{ client: first, cursors: new Map() }];
  const moves: Move[] = [];
  const refusals = new Map<number, number>();
  let ended = false;
  const present = (): Client => {
    const link = links.at(-1);
    if (link === undefined) throw new Error("never connected");
    return link.client;
  };

  async function stayConnected(): Promise<void> {
    while (!ended) {
      const { code } = await present().waitForClose(10 * LIMIT_MS);
      if (ended) return;
      const lostAt = Date.now();
      const client = await comeBack({ place, token: present().token, refusals });
      moves.push({
        code,
        lostAt,
        awayMs: Date.now() - lostAt,
        resumed: client.welcome.session?.resumed === true,
      });
      const cursors = new Map<string, number>();
      const goOn = (id: string): void => {
        const last = lastEvent(links, id);
        if (last?.terminal === true) return;
        cursors.set(id, last?.seq ?? 0);
        void attach(client, id, last?.seq ?? 0).catch(() => undefined);
      };
      const listed = (client.welcome.jobs ?? []).map(({ id }) => id);
      // What is not listed was committed after this welcome, and is attached by itself; or it is older than all of these.
      for (const id of listed) goOn(id);
      if (client.welcome.moreJobs === true) {
        const oldest = listed.toSorted()[0] ?? "";
        // The connection may end meanwhile: the next one asks again.
        void listJobs(apiOf(place(), client.token))
          .then((ids) => ids.filter((id) => id < oldest).forEach(goOn))
          .catch(() => undefined);
      }
      links.push({ client, cursors });
    }
  }
  let trouble: Error | null = null;
  // A failure shows when something is asked of it, not as an unhandled rejection in between.
  const staying = stayConnected().catch((error: unknown) => {
    trouble = new Error("the client gave up", { cause: error });
  });
  const stillThere = (): void => {
    if (trouble !== null) throw trouble;
  };
  const api = (): Api => apiOf(place(), present().token);

  return {
    sessionId: first.sessionId,
    get clients() {
      return links.map(({ client }) => client);
    },
    moves,
    refusals,
    api,
    submit: (key, body) =>
      until(
        `an answer to submit ${key}`,
        async () => {
          stillThere();
          const asked = api()
            .post(body, { "idempotency-key": key })
            .catch(() => null);
          const answer = await within(`any answer to submit ${key}`, asked, ANSWER_MS);
          if (answer !== null && answer.status !== 202 && answer.status !== 503) {
            throw new Error(`submit ${key}: ${answer.status} ${answer.text}`);
          }
          return answer?.status === 202 && answer.body;
        },
        LIMIT_MS,
      ),
    finished: async (job) => {
      const isOver = (): boolean | undefined => {
        stillThere();
        return lastEvent(links, job)?.terminal;
      };
      await until(`the end of job ${job}`, isOver, LIMIT_MS);
      // Unless the connection breaks in this moment: then the job is listed once more, which does no harm.
      if (present().closed === null)
        present().send({ type: "ack", job, seq: lastEvent(links, job)?.seq ?? 0 });
    },
    deliveries: (job) => follow(links, job),
    eventCount: () => links.reduce((sum, { client }) => sum + client.received.length, 0),
    get connections() {
      return links.length;
    },
    [Symbol.asyncDispose]: async () => {
      ended = true;
      await present().close();
      await staying;
      stillThere();
    },
  };
}
