/** HTTP calls over the simulated network: late, lost on the way there, lost on the way back, hung, or made twice. */
import type { Fetch } from "../../src/client/api.ts";
import type { Link, Listener } from "./network.ts";
import type { Random } from "./random.ts";
import { strikes, type Scene } from "./scene.ts";
import type { Process } from "./timeline.ts";

export interface HttpCall {
  readonly method: string;
  readonly path: string;
  readonly token: string;
  readonly by: string;
}

export interface HttpWatch {
  /** The server has answered; whether that arrives is another question. */
  answered(call: HttpCall, status: number, body: string): void;
}

export interface Calls {
  readonly fetch: (link: Link, owner: Process) => Fetch;
  /** The process that was answering is gone. */
  died(process: Process): void;
}

export interface CallsOptions {
  readonly scene: Scene;
  readonly random: Random;
  readonly watch: HttpWatch;
  readonly reachable: () => Listener | null;
  readonly through: (link: Link, run: () => void) => void;
  /** Who sends the request, for whoever asks the server's runtime. */
  readonly addressed: (request: Request, link: Link) => void;
}

/** One call as its caller made it, and how it is settled there. */
interface Pending {
  readonly url: string;
  readonly init: RequestInit;
  readonly link: Link;
  readonly aborted: AbortSignal;
  readonly resolve: (response: Response) => void;
  readonly fail: () => void;
}

const BODILESS = new Set([204, 304]);

export function createCalls(options: CallsOptions): Calls {
  const { scene, random, watch, reachable, through } = options;
  const { timeline, faults, sometimes } = scene;
  /** Keys of jobs whose 202 did not arrive. */
  const unheard = new Set<string>();
  const underWay = new Set<{ readonly process: Process; readonly fail: () => void }>();

  /** The way back of an answer. */
  const carryBack = (call: Pending, response: Response, text: string): void => {
    const hangs = strikes(scene, random, faults.hungCall);
    const isLost = hangs || strikes(scene, random, faults.lostAnswer);
    const key = new Headers(call.init.headers).get("idempotency-key");
    if (isLost && key !== null && response.status === 202) unheard.add(key);
    if (hangs) return;
    if (isLost) {
      through(call.link, call.fail);
      return;
    }
    const { status, headers } = response;
    const answer = new Response(BODILESS.has(status) ? null : text, { status, headers });
    through(call.link, () => call.resolve(answer));
  };

  const serve = async (call: Pending, target: Listener, isFirst: boolean): Promise<void> => {
    const { url, init, link } = call;
    const request = new Request(url, {
      method: init.method ?? "GET",
      headers: init.headers ?? {},
      signal: call.aborted,
      ...(typeof init.body === "string" ? { body: init.body } : {}),
    });
    options.addressed(request, link);
    const entry = { process: target.process, fail: isFirst ? call.fail : (): void => undefined };
    underWay.add(entry);
    const response = await target.options.fetch(request);
    const text = (await response?.text()) ?? "";
    if (response === undefined || !target.process.alive) return;
    underWay.delete(entry);
    const { method } = request;
    const path = url.slice(new URL(url).origin.length);
    scene.trace.note(`${link.name} ${method} ${path} → ${response.status}`);
    const token = (request.headers.get("authorization") ?? "").slice("Bearer ".length);
    watch.answered({ method, path, token, by: link.name }, response.status, text);
    const key = request.headers.get("idempotency-key");
    if (key !== null && unheard.has(key) && response.headers.get("idempotent-replayed") === "true")
      sometimes.reached("a lost 202 is answered again");
    if (isFirst) carryBack(call, response, text);
  };

  const arrive = (call: Pending, isFirst: boolean): void => {
    const target = reachable();
    if (target !== null) timeline.after(0, () => void serve(call, target, isFirst), target.process);
    else if (isFirst) through(call.link, call.fail);
  };

  return {
    fetch:
      (link, owner) =>
      (url, init = {}) => {
        const { promise, resolve, reject } = Promise.withResolvers<Response>();
        const gone = new AbortController();
        let settled = false;
        const settle = (end: () => void): void => {
          if (settled || !owner.alive) return;
          settled = true;
          end();
        };
        const call: Pending = {
          url,
          init,
          link,
          aborted: gone.signal,
          resolve: (response) => settle(() => resolve(response)),
          fail: () => settle(() => reject(new TypeError("the network failed"))),
        };
        init.signal?.addEventListener("abort", () => {
          settle(() => reject(new DOMException("aborted", "AbortError")));
          timeline.after(link.latencyMs(), () => gone.abort());
        });
        if (strikes(scene, random, faults.lostRequest)) through(link, call.fail);
        else through(link, () => arrive(call, true));
        // A proxy that saw no answer asks again by itself; the client never learns of it.
        if (strikes(scene, random, faults.repeatedCall))
          through(link, () => through(link, () => arrive(call, false)));
        return promise;
      },

    died(process) {
      for (const entry of underWay) {
        if (entry.process !== process) continue;
        underWay.delete(entry);
        timeline.after(random.next() * 5, entry.fail);
      }
    },
  };
}
