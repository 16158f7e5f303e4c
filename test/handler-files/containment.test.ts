/** Code of others runs in a graph of its own; what it asks of the server does not belong to that graph. */
import { expect, test } from "bun:test";
import { createContainment } from "../../src/handlers/files/containment.ts";
import { defineHandler, z } from "holdline";
import { createHandlerFiles } from "../../src/handlers/files/files.ts";
import { createSystemClock } from "../../src/lib/clock.ts";
import { createFakeJob } from "../handlers/fake-job.ts";
import { recordingLogger } from "../handlers/run-setup.ts";
import { letTimePass, until } from "../support/wait.ts";
import { createFolder } from "./folder.ts";

test("a write that was not awaited is finished, though its handler is replaced right after the run", async () => {
  let written = false;
  const containment = createContainment(() => undefined);
  const handler = containment.contain(
    defineHandler({
      type: "hasty",
      input: z.object({}),
      async run(job) {
        void job.text("on its way");
      },
    }),
  );
  // As the log does: a timer that the call starts, and everybody's next commit waits for.
  const text = () =>
    new Promise<void>((resolve) => {
      setTimeout(() => {
        written = true;
        resolve();
      }, 20);
    });
  await handler.run({ ...createFakeJob().job, text }, {});
  containment.retire();
  await until("the write to be finished", () => written, 2000);
  expect(written).toBe(true);
});

test("what a handler left behind ends with its graph, and no sooner than its last run", async () => {
  const opened = Promise.withResolvers<void>();
  let ticks = 0;
  const containment = createContainment(() => undefined);
  const handler = containment.contain(
    defineHandler({
      type: "ticking",
      input: z.object({}),
      async run() {
        setInterval(() => {
          ticks += 1;
        }, 1);
        await opened.promise;
      },
    }),
  );
  const run = handler.run(createFakeJob().job, {});
  containment.retire();
  await until("ticks after it was replaced", () => ticks > 5);
  opened.resolve();
  await run;
  const atTheEnd = ticks;
  await letTimePass(50);
  expect(ticks).toBe(atTheEnd);
});

test("what handler files left behind ends when they are stopped", async () => {
  const ticks = (): number => Number(process.env["HANDLER_TICKS"] ?? 0);
  await using folder = await createFolder({
    "ticks.ts": `import { defineHandler, z } from "holdline";
setInterval(() => { process.env.HANDLER_TICKS = String(Number(process.env.HANDLER_TICKS ?? 0) + 1); }, 1);
export default defineHandler({ type: "ticks", input: z.object({}), run: async () => {} });`,
  });
  const files = createHandlerFiles({
    folder: folder.path,
    watch: false,
    clock: createSystemClock(),
    logger: recordingLogger().logger,
    onLoaded: () => {},
  });
  await files.start();
  await until("ticks", () => ticks() > 5);
  files.stop();
  const atTheEnd = ticks();
  await letTimePass(50);
  expect(ticks()).toBe(atTheEnd);
  delete process.env["HANDLER_TICKS"];
});
