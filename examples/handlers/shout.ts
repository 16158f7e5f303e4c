/** The smallest handler: text in, text out, a result. Start the server with HOLDLINE_HANDLERS_DIR=examples/handlers. */
import { defineHandler, z } from "holdline";

export default defineHandler({
  type: "shout",
  input: z.object({ text: z.string().max(2000) }),
  output: ["text"],
  maxAttempts: 3,
  async run(job, input) {
    await job.progress(0.1, "warming up");
    const words = input.text.split(" ");
    for (const word of words) await job.text(`${word.toUpperCase()} `);
    return { words: words.length };
  },
});
