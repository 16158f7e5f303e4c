/**
 * A program of your own with a Holdline server inside. Run it with Bun, or compile it into one binary:
 * `npm run build -- --entry examples/embed.ts`. Port, data folder and all other settings come from the environment
 * and holdline.toml, as for `holdline serve`, unless `settings` names them.
 */
import { createHoldline, defineHandler, z } from "holdline";

const greet = defineHandler({
  type: "greet",
  input: z.object({ name: z.string().max(100) }),
  async run(job, { name }) {
    for (const word of ["Hello", name]) await job.text(`${word} `);
    return { greeted: name };
  },
});

// Throws a ConfigError or a HandlerError that says everything that is wrong.
const server = createHoldline({ handlers: [greet], settings: { resumeMs: 600_000 } });
await server.start();
process.stdout.write(`Greetings are served at ${server.url}\n`);

// Signals are yours: `stop` lets runs finish and closes the database.
process.once("SIGTERM", () => void server.stop().then(() => process.exit(0)));
// What it cannot go on after, such as a database that is damaged.
void server.failed.then((reason) => {
  process.stderr.write(`${reason.message}\n`);
  process.exit(1);
});
