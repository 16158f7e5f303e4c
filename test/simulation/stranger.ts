/** Somebody with a socket and no manners: attaches to what is not his, confirms what he never saw, reads slowly, leaves. */
import type { SocketLike } from "../../src/client/socket.ts";
import type { ServerFrame } from "../../src/protocol/frames.ts";
import type { Model } from "./model.ts";
import { SERVER_URL, type Network } from "./network.ts";
import { nowAndThen, type Scene } from "./scene.ts";
import { createProcess } from "./timeline.ts";
import { makeUserToken } from "./tokens.ts";

export interface StrangerOptions {
  readonly scene: Scene;
  readonly model: Model;
  readonly network: Network;
  readonly name: string;
  /** Of the same user as a browser, or of nobody whose jobs there are. */
  readonly user: string;
}

export function startStranger({ scene, model, network, name, user }: StrangerOptions): void {
  const random = scene.random.fork();
  const link = network.createLink(name, random.fork());
  const process = createProcess(name);
  const Socket = network.socketClass(link, process);
  const fetch = network.fetch(link, process);
  let socket: SocketLike | null = null;
  let welcomed = false;
  let asked = 0;

  const token = (): string => {
    asked += 1;
    return makeUserToken(user, asked, scene.wall.nowMs(), 3_600_000);
  };

  const connect = (): void => {
    welcomed = false;
    const opened = new Socket(SERVER_URL, ["holdline.v1", `bearer.${token()}`]);
    socket = opened;
    opened.onmessage = ({ data }: MessageEvent<unknown>) => {
      if (typeof data !== "string") return;
      const frame = JSON.parse(data) as ServerFrame;
      if (frame.type === "welcome") welcomed = true;
      if (frame.type === "ping" && random.chance(0.9))
        opened.send(JSON.stringify({ type: "pong", at: frame.at }));
      if (frame.type === "error") scene.sometimes.reached(`a stranger is refused: ${frame.code}`);
    };
    opened.onclose = () => {
      if (socket === opened) socket = null;
    };
  };

  const act = (): void => {
    if (socket === null) return connect();
    if (!welcomed && random.chance(0.8)) return;
    const jobs = [...model.jobs.values()];
    const job = jobs.length === 0 ? null : random.pick(jobs);
    const id = job?.id ?? "00000000-0000-7000-8000-000000000000";
    const seq = random.int((job?.log.length ?? 0) + 3);
    asked += 1;
    const send = (frame: object): void => socket?.send(JSON.stringify({ ...frame, id: `s${asked}` }));
    const draw = random.int(10);
    if (draw < 4) send({ type: "attach", job: id, after: random.chance(0.5) ? 0 : seq });
    else if (draw < 6) send({ type: "ack", job: id, seq });
    else if (draw < 7) send({ type: "detach", job: id });
    else if (draw < 8) {
      const path = random.pick([`/v1/jobs/${id}`, `/v1/jobs/${id}/events`, `/v1/jobs/${id}/output`]);
      fetch(SERVER_URL + path, { headers: { Authorization: `Bearer ${token()}` } }).catch(() => undefined);
    } else if (draw < 9 && user.startsWith("mallory")) {
      const headers = { Authorization: `Bearer ${token()}` };
      fetch(`${SERVER_URL}/v1/jobs/${id}/cancel`, { method: "POST", headers }).catch(() => undefined);
    } else {
      socket.close();
      socket = null;
    }
  };

  nowAndThen(scene, random, 400, act);
}
