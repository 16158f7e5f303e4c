/** A server with job types that misbehave in ways the product's own never do: the program of some fault tests. */
import { z } from "zod";
import { createApp } from "../../src/app.ts";
import { live } from "../../src/cli/life.ts";
import { loadConfig, processInputs } from "../../src/config.ts";
import { defineHandler, type AnyHandler } from "../../src/handlers/handler.ts";
import { createSystemClock } from "../../src/lib/clock.ts";
import { createLogger } from "../../src/lib/logger.ts";

/** Says one word and then hears nothing any more, whatever is done about it; `deafMs` later it is done. */
const deaf = defineHandler({
  type: "deaf",
  output: ["text"],
  concurrency: 2,
  input: z.object({ deafMs: z.number() }),
  async run(job, { deafMs }) {
    await job.text("hm");
    await Bun.sleep(deafMs);
    return { at: "last" };
  },
});

/** Keeps the event loop to itself. */
const selfish = defineHandler({
  type: "selfish",
  output: ["text"],
  input: z.object({ blockMs: z.number() }),
  async run(job, { blockMs }) {
    await job.text("mine");
    Bun.sleepSync(blockMs);
    return {};
  },
});

/** Reports its progress as often as it can for a while. */
const eager = defineHandler({
  type: "eager",
  output: ["text"],
  input: z.object({ reports: z.number(), awaited: z.boolean() }),
  async run(job, { reports, awaited }) {
    for (let n = 1; n <= reports; n += 1) {
      const reported = job.progress(n / reports, `step ${n}`);
      if (awaited) await reported;
      else if (n % 100 === 0) await Bun.sleep(0);
    }
    return { reports };
  },
});

/** Takes memory and keeps it, until there is none left or it has as much as it wants. */
const glutton = defineHandler({
  type: "glutton",
  output: ["text"],
  input: z.object({ mib: z.number() }),
  async run(job, { mib }) {
    const kept: Buffer[] = [];
    while (kept.length < mib) {
      kept.push(Buffer.alloc(1024 * 1024, 1));
      if (kept.length % 16 !== 0) continue;
      await job.text("more ");
      await Bun.sleep(40);
    }
    return { mib: kept.length };
  },
});

const { config } = loadConfig(processInputs({}));
const logger = createLogger({ level: config.log, pretty: false });
const signaled = Promise.withResolvers<string>();
process.on("SIGTERM", () => signaled.resolve("SIGTERM"));
process.exit(
  await live({
    app: createApp({ config, logger, handlers: [deaf, selfish, eager, glutton] as AnyHandler[] }),
    logger,
    host: {
      out: (text) => void process.stdout.write(text),
      err: (text) => void process.stderr.write(text),
      isTerminal: false,
      untilSignal: () => signaled.promise,
      onSignal: () => undefined,
      parentLine: () => null,
      onEnd: () => undefined,
    },
    drainMs: config.drainMs,
    clock: createSystemClock(),
  }),
);
