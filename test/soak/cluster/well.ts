/** When all is well again after a fault: what a client or an operator would see of three nodes to which nothing happens. */
import { apiOf, tokensBody } from "../../support/http.ts";
import { together } from "../../support/rooms.ts";
import { until, within } from "../../support/wait.ts";
import { HALL, type Scene } from "./scene.ts";

const LIMIT_MS = 90_000;
const CALL_MS = 5000;
const HEARD_MS = 1000;
/** Of the newest frames of a connection so many are looked at for what was said a moment ago. */
const RECENT = 500;

/** What one of them says in the room reaches everybody, wherever their sockets are. */
async function isHeard({ clients }: Scene): Promise<boolean> {
  const word = Bun.randomUUIDv7();
  const [speaker] = clients;
  speaker?.clients.at(-1)?.send({ type: "say", room: HALL, data: word });
  const hears = ({ clients: sockets }: Scene["clients"][number]): boolean | undefined =>
    sockets
      .at(-1)
      ?.received.slice(-RECENT)
      .some((item) => item.kind === "json" && item.frame.type === "message" && item.frame.data === word);
  return until("everybody to hear it", () => clients.every(hears), HEARD_MS).catch(() => false);
}

/** Marks the jobs that are asked of the nodes here, so that they are not taken for the clients'. */
export const CHECK = { check: "yes" };

/** null: nothing. A sentence: what is not well yet. */
async function ailment(scene: Scene): Promise<string | null> {
  const { nodes, clients, cluster } = scene;
  for (const [n, node] of nodes.entries()) {
    const ready = await fetch(`${node.url}/readyz`, { keepalive: false });
    if (ready.status !== 200) return `node ${n} is not ready: ${ready.status}`;
    const living = (await cluster.nodesSeenBy(node)).filter(({ state }) => state !== "dead");
    const states = living.map(({ url, state }) => `${url} ${state}`).toSorted();
    if (
      states.join() !==
      nodes
        .map(({ url }) => `${url} up`)
        .toSorted()
        .join()
    )
      return `node ${n} lists ${states.join(", ")}`;
  }
  const everybody = clients.map(({ sessionId }) => sessionId).toSorted();
  for (const { clients: sockets, sessionId } of clients) {
    const socket = sockets.at(-1);
    if (socket === undefined || socket.closed !== null) return `${sessionId} has no socket`;
    const seen = [...together(socket, HALL).values()];
    const online = seen.filter(({ status }) => status === "online").map((member) => member.sessionId);
    if (seen.length !== everybody.length) return `${sessionId} sees ${seen.length} in the room`;
    if (online.toSorted().join() !== everybody.join()) {
      const others = seen.filter(({ status }) => status !== "online");
      const where = socket.welcome.node;
      return `${sessionId} at ${where} sees ${others.map((member) => `${member.sessionId} ${member.status} since ${member.since}`).join(", ")}`;
    }
  }
  const token = clients[0]?.clients.at(-1)?.token ?? "";
  for (const [n, node] of nodes.entries()) {
    const answer = await apiOf(node, token).call<{ members: { sessionId: string; status: string }[] }>(
      "GET",
      `/v1/rooms/${HALL}/presence`,
    );
    if (answer.status !== 200) return `node ${n} answers ${answer.status} for who is in the room`;
    const listed = answer.body.members.filter(({ status }) => status === "online");
    if (
      listed
        .map(({ sessionId }) => sessionId)
        .toSorted()
        .join() !== everybody.join()
    )
      return `node ${n} lists ${listed.length} of ${answer.body.members.length} online`;
  }
  for (const [n, node] of nodes.entries()) {
    const done = await apiOf(node, token).post(tokensBody({}, { metadata: CHECK }), { prefer: "wait=3" });
    if (done.status !== 200) return `node ${n} answers a small job ${done.status}`;
  }
  if (!(await isHeard(scene))) return "what is said in the room does not reach everybody";
  return null;
}

/** Resolves when nothing is the matter, with what was last; throws with what still is. */
export async function untilWell(scene: Scene): Promise<string> {
  let last = "nothing was asked yet";
  const look = async (): Promise<boolean> => {
    const found = await within("answers", ailment(scene), CALL_MS).catch((error: unknown) => String(error));
    if (found !== null) last = found;
    return found === null;
  };
  await until("all to be well", look, LIMIT_MS).catch((error: unknown) => {
    throw new Error(`${String(error)}: ${last}`, { cause: error });
  });
  return last;
}
