/** A program of somebody's own that embeds the server; embed.test.ts runs and compiles it. */
import { createHoldline, defineHandler, z } from "holdline";

const greet = defineHandler({
  type: "greet",
  input: z.object({ name: z.string() }),
  async run(job, { name }) {
    await job.text(`Hello ${name}`);
    // Nobody awaits it: the program that embeds the server is not to end by it.
    void Promise.reject(new Error("left alone"));
    return { greeted: name };
  },
});

const server = createHoldline({ handlers: [greet], settings: { port: 0, log: "error" } });
await server.start();
process.stdout.write(`${server.url}\n`);
process.once("SIGTERM", () => void server.stop().then(() => process.exit(0)));
