/**
 * An upstream of chat and speech for the bench, as a process of its own: a token every 20 ms (all of them at once from
 * the model `instant`), sound as fast as it is taken.
 */

const TOKEN_MS = 20;
const WORDS = "The first sentence is short. The second one."
  .split(/(?<= )/)
  .map(
    (content) => `data: ${JSON.stringify({ choices: [{ delta: { content }, finish_reason: null }] })}\n\n`,
  );
const END = `data: ${JSON.stringify({ choices: [{ delta: {}, finish_reason: "stop" }] })}\n\ndata: [DONE]\n\n`;
/** A second of PCM. */
const SOUND = new Uint8Array(48_000);

const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  idleTimeout: 0,
  async fetch(request) {
    const asked = (await request.json()) as { model?: string };
    if (request.url.endsWith("/audio/speech"))
      return new Response(SOUND, { headers: { "Content-Type": "audio/pcm" } });
    const headers = { "Content-Type": "text/event-stream" };
    if (asked.model === "instant") return new Response(WORDS.join("") + END, { headers });
    const encoder = new TextEncoder();
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        let next = 0;
        const timer = setInterval(() => {
          const word = WORDS[next];
          next += 1;
          controller.enqueue(encoder.encode(word ?? END));
          if (word !== undefined) return;
          clearInterval(timer);
          controller.close();
        }, TOKEN_MS);
      },
    });
    return new Response(body, { headers });
  },
});

process.stdout.write(`${JSON.stringify({ url: `${server.url.origin}/v1` })}\n`);
