/** A port that a test may listen on. */
import { createServer } from "node:net";

/** Below the ports the kernel hands out to outgoing connections, so that no other test is given ours during a restart. */
const FIRST_PORT = 20_000;
const PORT_COUNT = 12_000;

function isFree(port: number): Promise<boolean> {
  const answer = Promise.withResolvers<boolean>();
  const probe = createServer();
  probe.once("error", () => answer.resolve(false));
  probe.listen({ port, host: "127.0.0.1", exclusive: true }, () => probe.close(() => answer.resolve(true)));
  return answer.promise;
}

/** A port of the loopback that nobody listens on. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < 100; tries += 1) {
    const port = FIRST_PORT + Math.floor(Math.random() * PORT_COUNT);
    if (await isFree(port)) return port;
  }
  throw new Error("no free port");
}
