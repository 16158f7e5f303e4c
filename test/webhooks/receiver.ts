/** Somebody's endpoint for webhooks: keeps what came, and answers as the test says. */
export interface Received {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface Receiver extends AsyncDisposable {
  readonly url: string;
  readonly received: readonly Received[];
  /** What the next requests are answered with; the last one for all that follow. */
  answers: (() => Response | Promise<Response>)[];
}

export function startReceiver(port = 0): Receiver {
  const received: Received[] = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port,
    async fetch(request) {
      received.push({ headers: request.headers.toJSON(), body: await request.text() });
      const [first] = receiver.answers;
      if (receiver.answers.length > 1) receiver.answers.shift();
      return first?.() ?? new Response(null, { status: 204 });
    },
  });
  const receiver: Receiver = {
    url: `http://127.0.0.1:${server.port}/hook`,
    received,
    answers: [],
    [Symbol.asyncDispose]: async () => server.stop(true),
  };
  return receiver;
}
