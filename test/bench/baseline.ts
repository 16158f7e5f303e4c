/** What the runtime itself costs: parses and answers a JSON request, sends messages over a socket. Keeps nothing. */

const members = new Set<Bun.ServerWebSocket>();

const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  development: false,
  async fetch(request, self) {
    if (request.headers.get("upgrade") === "websocket") {
      self.upgrade(request, { headers: { "Sec-WebSocket-Protocol": "holdline.v1" } });
      return undefined;
    }
    const body = (await request.json()) as object;
    return Response.json({ id: Bun.randomUUIDv7(), ...body }, { status: 202 });
  },
  websocket: {
    idleTimeout: 0,
    close: (socket) => void members.delete(socket),
    // A frame "join": hears every "say" from then on. "N": sends N frames of the size of an event, one a turn of the loop as a producer would.
    message(socket, count) {
      if (String(count).startsWith("{")) {
        const frame = JSON.parse(String(count)) as { type: string; data?: unknown };
        if (frame.type === "join") {
          members.add(socket);
          socket.send('{"type":"ok","re":"j"}');
          return;
        }
        const text = JSON.stringify({
          type: "message",
          room: "bench",
          id: Bun.randomUUIDv7(),
          data: frame.data,
          at: 0,
        });
        for (const member of members) member.send(text);
        return;
      }
      let left = Number(count);
      const step = (): void => {
        for (let i = 0; i < 8 && left > 0; i += 1) {
          left -= 1;
          socket.send(
            JSON.stringify({
              type: "event",
              job: Bun.randomUUIDv7(),
              seq: left,
              data: { delta: "x".repeat(32) },
            }),
          );
        }
        if (left > 0) setImmediate(step);
      };
      step();
    },
  },
});

process.stdout.write(`${JSON.stringify({ url: server.url.origin })}\n`);
