/**
 * A remote worker as somebody writes it who does not stream: each item is a request of its own, and the answers to
 * them are all it listens to besides its heartbeats. One job at a time.
 */
import { setTimeout as pause } from "node:timers/promises";

const server = `${process.env["HOLDLINE_URL"]}/v1/worker`;
const authorization = `Bearer ${process.env["HOLDLINE_WORKER_TOKEN"]}`;
const BEAT_MS = 8000;

interface Job {
  readonly id: string;
  readonly leaseToken: string;
  readonly input: { readonly text: string; readonly pauseMs: number };
}

interface Answer {
  readonly status: number;
  readonly body: {
    readonly jobs?: readonly Job[];
    readonly control?: string;
    readonly next?: number;
    readonly leases?: readonly { readonly status: string }[];
  };
}

/** Says it again until a server answers. */
async function call(path: string, body: string, headers: Record<string, string> = {}): Promise<Answer> {
  for (;;) {
    try {
      const given = { authorization, "content-type": "application/json", ...headers };
      const response = await fetch(server + path, { method: "POST", headers: given, body });
      const text = await response.text();
      return { status: response.status, body: text === "" ? {} : (JSON.parse(text) as Answer["body"]) };
    } catch {
      await pause(200);
    }
  }
}

async function work({ id, leaseToken, input }: Job): Promise<void> {
  const lease = { "holdline-lease": leaseToken };
  let beatAt = 0;
  let next = 0;
  const beat = async (): Promise<string> => {
    beatAt = performance.now();
    const said = { worker: "plain", leases: [{ job: id, leaseToken }] };
    const { body } = await call("/heartbeat", JSON.stringify(said));
    return body.control === "terminate" ? "cancel" : (body.leases?.[0]?.status ?? "ok");
  };
  let status = await beat();
  for (const word of input.text.split(" ")) {
    if (status === "lost") return;
    if (status === "cancel") return void (await call(`/jobs/${id}/release`, "{}", lease));
    const item = `${JSON.stringify({ kind: "output.text", data: { delta: `${word} ` } })}\n`;
    const headers = {
      ...lease,
      "content-type": "application/x-ndjson",
      "holdline-item": String(next),
    };
    const answer = await call(`/jobs/${id}/output`, item, headers);
    if (answer.status !== 200) return;
    next = answer.body.next ?? next;
    await pause(input.pauseMs);
    if (answer.body.control === "terminate") status = "cancel";
    else if (performance.now() - beatAt > BEAT_MS) status = await beat();
  }
  await call(`/jobs/${id}/complete`, JSON.stringify({ result: { items: next } }), lease);
}

for (;;) {
  const wish = { worker: "plain", types: ["story"], max: 1, waitMs: 5000 };
  const { body } = await call("/lease", JSON.stringify(wish));
  for (const job of body.jobs ?? []) await work(job);
  if (body.control !== undefined && body.control !== "run") await pause(1000);
}
