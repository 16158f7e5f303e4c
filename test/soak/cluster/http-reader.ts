/** A client without a socket: it follows one job over HTTP, by whatever form and node, and goes on where it was cut off. */
import { apiOf, type Api } from "../../support/http.ts";
import type { Delivery } from "../../support/log-checker.ts";
import { openNdjson, openSse } from "../../support/streams.ts";
import { letTimePass } from "../../support/wait.ts";
import type { EventBody, ReceivedEvent } from "../../support/wire.ts";
import type { Scene } from "./scene.ts";

/** A stream that says nothing for so long is left for another one, as a client would that wants to get on. */
const QUIET_MS = 5000;
const LIMIT_MS = 120_000;
const PAUSE_MS = 100;

type Read = (api: Api, url: string, after: number) => AsyncGenerator<EventBody>;

/** Not a broken promise: the server says that it cannot now. */
class NotNow extends Error {}

function accept(status: number): void {
  if (status === 503) throw new NotNow();
  if (status !== 200) throw new Error(`a stream was answered ${status}`);
}

async function* byLines(api: Api, url: string, after: number): AsyncGenerator<EventBody> {
  await using stream = await openNdjson(`${url}?after=${after}`, api.token);
  accept(stream.status);
  for (let entry = await stream.next(QUIET_MS); entry !== null; entry = await stream.next(QUIET_MS))
    yield entry;
}

async function* bySse(api: Api, url: string, after: number): AsyncGenerator<EventBody> {
  await using stream = await openSse(url, api.token, { "last-event-id": String(after) });
  accept(stream.status);
  for (let block = await stream.next(QUIET_MS); block !== null; block = await stream.next(QUIET_MS)) {
    if (block.data !== undefined) yield JSON.parse(block.data) as EventBody;
  }
}

async function* byPages(api: Api, url: string, after: number): AsyncGenerator<EventBody> {
  const answer = await api.call<{ events: EventBody[] }>("GET", `${new URL(url).pathname}?after=${after}`);
  accept(answer.status);
  yield* answer.body.events;
}

const FORMS: readonly Read[] = [byLines, bySse, byPages];

function received(event: EventBody): ReceivedEvent {
  return { ...event, first: event.first ?? event.seq, terminal: event.terminal === true, frameBytes: 0 };
}

/** Everything of the job until its terminal event, one delivery for each stream or page. */
export async function followOverHttp(scene: Scene, token: string, job: string): Promise<Delivery[]> {
  const deliveries: Delivery[] = [];
  const deadline = performance.now() + LIMIT_MS;
  let cursor = 0;
  while (performance.now() < deadline) {
    const read = FORMS[Math.floor(scene.random() * FORMS.length)] ?? byPages;
    const node = scene.anyNode();
    const events: ReceivedEvent[] = [];
    deliveries.push({ after: cursor, events });
    try {
      for await (const entry of read(apiOf(node, token), `${node.url}/v1/jobs/${job}/events`, cursor)) {
        events.push(received(entry));
        cursor = entry.seq;
        if (entry.terminal === true) return deliveries;
      }
    } catch (error) {
      if (/was answered/.test(String(error))) scene.flaws.push(`job ${job}: ${String(error)}`);
    }
    await letTimePass(PAUSE_MS);
  }
  throw new Error(
    `followed job ${job} over HTTP for ${LIMIT_MS} ms, up to seq ${cursor}, and it did not end`,
  );
}
