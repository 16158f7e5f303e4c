/** A real server inside the test's process: the product's own wiring on port 0, its database in memory. */
import { afterAll, beforeAll } from "bun:test";
import { createApp, type App } from "../../src/app.ts";
import { loadConfig } from "../../src/config.ts";
import { z } from "zod";
import { defineHandler, JobError, type AnyHandler } from "../../src/handlers/handler.ts";
import { createLogger } from "../../src/lib/logger.ts";

/** Says something of every kind, fails once, and says it again. */
const everything = defineHandler({
  type: "everything",
  output: ["text", "audio", "data"],
  input: z.object({ fail: z.boolean().optional() }),
  async run(job, input) {
    await job.progress(0.25, "begun");
    await job.text("Hel");
    await job.text("bon", { index: 1 });
    await job.audioFormat({ codec: "pcm_s16le", sampleRate: 16_000, channels: 1 });
    await job.audio(new Uint8Array(640));
    await job.data({ page: 1 });
    await job.data(new Uint8Array([1, 2, 3]));
    if (input.fail === true) throw new JobError("no_paper", "The printer is empty.", { retryable: false });
    if (job.attempt === 1) throw new JobError("busy", "Once more.", { retryable: true, retryAfterMs: 1 });
    await job.text("lo!");
    return { text: "Hello!" };
  },
});

/** Runs until it is told to stop. */
const patient = defineHandler({
  type: "patient",
  output: [],
  input: z.object({}),
  run: (job) =>
    new Promise((_resolve, reject) => {
      job.signal.addEventListener("abort", () => reject(job.signal.reason as Error), { once: true });
    }),
});

/** Starts with these settings (by flag, without dashes) beside those that every test needs. */
export async function startApp(flags: Readonly<Record<string, string>> = {}): Promise<App> {
  const { config } = loadConfig({
    flags: { port: "0", "database-url": "sqlite::memory:", "drain-ms": "0", ...flags },
    env: {},
    cwd: "/",
    readFile: () => null,
  });
  const logger = createLogger({ level: "silent", pretty: false });
  const app = createApp({ config, logger, handlers: [everything, patient] as AnyHandler[] });
  await app.start();
  return app;
}

/** One for all tests of a file. */
export function sharedApp(flags?: Readonly<Record<string, string>>): () => App {
  let app: App | undefined;
  beforeAll(async () => {
    app = await startApp(flags);
  });
  afterAll(() => app?.stop());
  return () => {
    if (app === undefined) throw new Error("the server is not there yet");
    return app;
  };
}
