/** What the clients do: one job after the other, of all sorts, some canceled, all of them asked for again until accepted. */
import { apiOf, tokensBody, type TokensInput } from "../../support/http.ts";
import type { Delivery } from "../../support/log-checker.ts";
import type { StubbornClient } from "../../support/stubborn-client.ts";
import { letTimePass, until, within } from "../../support/wait.ts";
import type { JobBody } from "../../support/wire.ts";
import { followOverHttp } from "./http-reader.ts";
import type { Scene } from "./scene.ts";

const LIMIT_MS = 60_000;
const ANSWER_MS = 30_000;
const SIZE = 10;
const PAUSE_MS = 800;
const ROAMING = 0.03;

/** A job that was accepted, and what was seen of it. */
export interface Accepted {
  readonly id: string;
  readonly userToken: string;
  readonly tokens: number;
  readonly mayBeCanceled: boolean;
  deliveries(): readonly Delivery[];
}

interface Plan {
  readonly body: unknown;
  readonly tokens: number;
  readonly cancel: boolean;
}

function drawPlan(random: () => number): Plan {
  // One in six goes on for longer than a node may be silent, so that it is still under way when that one is back.
  const isLong = random() < 0.17;
  const tokens = isLong ? 130 : 5 + Math.floor(random() * 45);
  const sorts: Partial<TokensInput>[] = [{}, {}, { audioBytes: 64 }, { failAt: 3, failTimes: 1 }];
  const sort = sorts[Math.floor(random() * sorts.length)];
  const input = { tokens, size: SIZE, intervalMs: isLong ? 60 : 20 + Math.floor(random() * 130), ...sort };
  const options = random() < 0.1 ? { delayMs: Math.floor(random() * 2000) } : {};
  return { body: tokensBody(input, options), tokens, cancel: random() < 0.1 };
}

/** Asks any node until one says that it heard. */
async function cancel(scene: Scene, token: string, id: string): Promise<void> {
  await until(
    `an answer to the cancel of ${id}`,
    async () => {
      const asked = apiOf(scene.anyNode(), token)
        .cancel(id)
        .catch(() => null);
      const answer = await within(`any answer to the cancel of ${id}`, asked, ANSWER_MS);
      if (answer !== null && ![200, 202, 409, 503].includes(answer.status))
        scene.flaws.push(`the cancel of ${id} was answered ${answer.status} ${answer.text}`);
      return answer !== null && answer.status !== 503;
    },
    LIMIT_MS,
  );
}

/** Over a socket, until `over`. */
export async function workOverSocket(
  scene: Scene,
  n: number,
  over: () => boolean,
  accepted: Accepted[],
): Promise<void> {
  const client = scene.clients[n] as StubbornClient;
  const userToken = scene.userToken(n);
  for (let job = 0; !over(); job += 1) {
    const plan = drawPlan(scene.random);
    const { id } = await client.submit(`socket-${n}-${job}`, plan.body);
    const { tokens, cancel: mayBeCanceled } = plan;
    accepted.push({ id, userToken, tokens, mayBeCanceled, deliveries: () => client.deliveries(id) });
    if (plan.cancel) {
      await letTimePass(scene.random() * 1000);
      await cancel(scene, client.api().token, id);
    }
    const finished = client.finished(id);
    // One in three goes on beside the next; if it never ends that is seen in the end.
    if (scene.random() < 0.67) await finished;
    else finished.catch(() => undefined);
    // Clients come and go by themselves as well, or all of them would stay where nothing happens.
    if (scene.roaming && scene.random() < ROAMING) client.clients.at(-1)?.socket.close();
    await letTimePass(scene.random() * PAUSE_MS);
  }
}

/** Without a socket, until `over`. */
export async function workOverHttp(
  scene: Scene,
  n: number,
  over: () => boolean,
  accepted: Accepted[],
): Promise<void> {
  const userToken = scene.userToken(n);
  for (let job = 0; !over(); job += 1) {
    const plan = drawPlan(scene.random);
    const key = { "idempotency-key": `http-${n}-${job}` };
    const { id }: JobBody = await until(
      "an answer to a submit over HTTP",
      async () => {
        const asked = apiOf(scene.anyNode(), userToken)
          .post(plan.body, key)
          .catch(() => null);
        const answer = await within("any answer to a submit over HTTP", asked, ANSWER_MS);
        if (answer !== null && answer.status !== 202 && answer.status !== 503)
          throw new Error(`a submit over HTTP was answered ${answer.status} ${answer.text}`);
        return answer?.status === 202 && answer.body;
      },
      LIMIT_MS,
    );
    let seen: readonly Delivery[] = [];
    const { tokens, cancel: mayBeCanceled } = plan;
    accepted.push({ id, userToken, tokens, mayBeCanceled, deliveries: () => seen });
    if (plan.cancel) await cancel(scene, userToken, id);
    seen = await followOverHttp(scene, userToken, id);
  }
}
