/**
 * The port, open from the first moments of a process: before what answers was loaded and has recovered. Who comes so early
 * waits for it. Refused, a client would wait as well: by its own back-off, which is longer than a start takes.
 */
import { parseUrl, pathWithoutTokens } from "./http/guard.ts";
import { listenOptions, socketOptions } from "./http/listening.ts";
import { problemResponse, toRefusal } from "./http/problem.ts";
import type { Clock } from "./lib/clock.ts";
import { createIds } from "./lib/ids.ts";
import { Refusal } from "./protocol/error.ts";
import { LIMITS } from "./protocol/limits.ts";
import type { ServeOptions, World } from "./world.ts";

export interface DoorOptions {
  readonly host: string;
  readonly port: number;
  readonly frameBytes: number;
  readonly queueBytes: number;
  readonly eventBytes: number;
}

export interface Door {
  /** Takes the place of the world's own: whoever waits is answered by what is given here. */
  readonly serve: World["serve"];
  /** How many stand there. */
  readonly waiting: number;
  /** For a start that failed: whoever waits is cut off. After the end of a server it does nothing. */
  close(): void;
}

/** `503 storage_unavailable`, as for everything that cannot be asked of the storage now. */
function notYet(request: Request, traceId: string): Response {
  let path = "/";
  let refusal = new Refusal("storage_unavailable", "The server is starting. Nothing was stored.");
  try {
    path = pathWithoutTokens(parseUrl(request).pathname);
  } catch (error) {
    refusal = toRefusal(error);
  }
  const response = problemResponse(refusal, { traceId, path });
  response.headers.set("X-Trace-Id", traceId);
  return response;
}

/** null where the address cannot be had: the server will say why, or that something else is wrong before. */
export function openDoor(options: DoorOptions, clock: Clock): Door | null {
  const ids = createIds(clock);
  const started = Promise.withResolvers<void>();
  let inside: ServeOptions | null = null;
  let waiting = 0;
  let patient = true;
  const giveUp = clock.after(LIMITS.startWaitMs, () => {
    patient = false;
    started.resolve();
  });
  const answer = (request: Request): Promise<Response | undefined> =>
    inside === null ? Promise.resolve(notYet(request, ids.hex(16))) : inside.fetch(request);
  const stand = async (request: Request): Promise<Response | undefined> => {
    if (!patient || waiting >= LIMITS.startWaiting) return answer(request);
    waiting += 1;
    await started.promise;
    waiting -= 1;
    return answer(request);
  };
  let server: ReturnType<World["serve"]>;
  try {
    server = Bun.serve({
      ...listenOptions(options),
      fetch: (request) => (inside === null ? stand(request) : inside.fetch(request)),
      websocket: {
        ...socketOptions(options),
        open: (ws) => inside?.websocket.open?.(ws),
        message: (ws, message) => inside?.websocket.message?.(ws, message),
        drain: (ws) => inside?.websocket.drain?.(ws),
        close: (ws, code, reason) => inside?.websocket.close?.(ws, code, reason),
      },
    });
  } catch {
    giveUp.cancel();
    return null;
  }
  return {
    serve(given) {
      inside = given;
      giveUp.cancel();
      started.resolve();
      return server;
    },
    get waiting() {
      return waiting;
    },
    close() {
      giveUp.cancel();
      void server.stop(true);
    },
  };
}
