/** A wire to PostgreSQL that breaks at the worst moment: around a COMMIT, before it arrives or before its answer does. */
import { connect, createServer, type Socket } from "node:net";

export interface CommitCutter extends AsyncDisposable {
  /** The URL by way of this wire. */
  readonly url: string;
  /** The next COMMIT: `before`, it never arrives; `after`, it is carried out and its answer is lost. */
  cut(when: "before" | "after"): void;
  /** Nothing passes any more, and nobody is told. */
  silence(): void;
  /** Connections are over; what is said on new ones arrives when they are let go. */
  hold(): void;
  letGo(): void;
  /** Until then new connections are refused; those that were silent are over. */
  restore(): void;
  readonly cuts: number;
}

export async function openCommitCutter(databaseUrl: string): Promise<CommitCutter> {
  const target = new URL(databaseUrl);
  let armed: "before" | "after" | null = null;
  let isDown = false;
  let isSilent = false;
  let isHeld = false;
  let cuts = 0;
  const sockets = new Set<Socket>();
  const server = createServer((near) => {
    const far = connect(Number(target.port), target.hostname);
    let cutting = false;
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => sockets.delete(socket));
    }
    const end = (): void => {
      near.destroy();
      far.destroy();
    };
    near.on("close", end);
    far.on("close", end);
    if (isDown) return end();
    if (isHeld) near.pause();
    near.on("data", (bytes: Buffer) => {
      if (isSilent) return;
      if (armed !== null && bytes.includes("COMMIT")) {
        cuts += 1;
        cutting = armed === "after";
        armed = null;
        isDown = true;
        if (!cutting) return end();
      }
      far.write(bytes);
    });
    far.on("data", (bytes: Buffer) => {
      if (cutting) end();
      else if (!isSilent) near.write(bytes);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = new URL(databaseUrl);
  url.port = String((server.address() as { port: number }).port);
  return {
    url: url.href,
    cut(when) {
      armed = when;
    },
    silence() {
      isSilent = true;
    },
    hold() {
      isHeld = true;
      for (const socket of sockets) socket.destroy();
    },
    letGo() {
      isHeld = false;
      for (const socket of sockets) socket.resume();
    },
    restore() {
      isDown = false;
      if (isSilent) for (const socket of sockets) socket.destroy();
      isSilent = false;
    },
    get cuts() {
      return cuts;
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
