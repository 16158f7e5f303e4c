/**
 * A client that never gives up, for fault tests: it submits under idempotency keys until it is answered, reconnects with
 * its session token until it is welcome, attaches to what `welcome` lists from where it stood, and keeps the record of
 * what every connection brought. It follows PROTOCOL sections 3 to 5 and nothing else.
 */
import { connect, dial, type Client } from "./client.ts";
import { type Api, apiOf } from "./http.ts";
import type { Delivery } from "./log-checker.ts";
import { until } from "./wait.ts";
import type { JobBody, ReceivedEvent } from "./wire.ts";

const LIMIT_MS = 60_000;

export interface StubbornClient extends AsyncDisposable {
  /** Speaks HTTP with the session's newest token. */
  api(): Api;
  /** Returns once a 202 was read; however often it had to ask, the key makes it one job. */
  submit(key: string, body: unknown): Promise<JobBody>;
  /** Resolves when the terminal event of the job has arrived on some connection. */
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

/** Dials until a `welcome` comes; a refused or broken connection is tried again at once. */
async function comeBack(server: { readonly url: string }, token: string): Promise<Client> {
  return until(
    "the server to welcome us back",
    async () => {
      const client = dial(server, { token });
      try {
        await client.waitFor("welcome", ({ type }) => type === "welcome");
        return client;
      } catch {
        return null;
      }
    },
    LIMIT_MS,
  );
}

/** Connects a new session and keeps it connected until it is disposed of. */
export async function openStubbornClient(server: { readonly url: string }): Promise<StubbornClient> {
  const links: Link[] = [{ client: await connect(server), cursors: new Map() }];
  let ended = false;
  const present = (): Client => {
    const link = links.at(-1);
    if (link === undefined) throw new Error("never connected");
    return link.client;
  };

  async function stayConnected(): Promise<void> {
    while (!ended) {
      await present().waitForClose(10 * LIMIT_MS);
      if (ended) return;
      const client = await comeBack(server, present().token);
      const cursors = new Map<string, number>();
      // What is not listed was committed after this welcome, and is attached by itself.
      for (const { id } of client.welcome.jobs ?? []) {
        const last = lastEvent(links, id);
        if (last?.terminal === true) continue;
        cursors.set(id, last?.seq ?? 0);
        client.send({ type: "attach", job: id, after: last?.seq ?? 0 });
      }
      links.push({ client, cursors });
    }
  }
  const staying = stayConnected();
  // A failure shows when it is disposed of, not as an unhandled rejection in between.
  staying.catch(() => undefined);
  const api = (): Api => apiOf(server, present().token);

  return {
    api,
    submit: (key, body) =>
      until(
        `an answer to submit ${key}`,
        async () => {
          const answer = await api()
            .post(body, { "idempotency-key": key })
            .catch(() => null);
          if (answer !== null && answer.status !== 202 && answer.status !== 503) {
            throw new Error(`submit ${key}: ${answer.status} ${answer.text}`);
          }
          return answer?.status === 202 && answer.body;
        },
        LIMIT_MS,
      ),
    finished: async (job) => {
      await until(`the end of job ${job}`, () => lastEvent(links, job)?.terminal, LIMIT_MS);
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
    },
  };
}
