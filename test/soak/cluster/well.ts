/** When all is well again after a fault: what a client or an operator would see of three nodes to which nothing happens. */
import { apiOf, tokensBody } from "../../support/http.ts";
import { together } from "../../support/rooms.ts";
import type { TestServer } from "../../support/server.ts";
import { until, within } from "../../support/wait.ts";
import { HALL, type Scene } from "./scene.ts";

const LIMIT_MS = 90_000;
/** Longest that a node thinks about a simple question. */
const CALL_MS = 5000;
const HEARD_MS = 1000;
/** Nothing has to take as long. */
const LONG_MS = 5000;
/** Of the newest frames of a connection so many are looked at for what was said a moment ago. */
const RECENT = 500;

/** Marks the jobs that are asked of the nodes here, so that they are not taken for the clients'. */
export const CHECK = { check: "yes" };

/** null: nothing. A sentence: what is not well yet. */
type Look = (scene: Scene, node: TestServer) => Promise<string | null>;

const inOrder = (words: readonly string[]): string => words.toSorted().join(", ");
const everybody = ({ clients }: Scene): string => inOrder(clients.map(({ sessionId }) => sessionId));

/** By any client that is connected. */
const tokenOf = ({ clients }: Scene): string => clients[0]?.clients.at(-1)?.token ?? "";

/** What is asked of each node. */
const OF_NODES: Readonly<Record<string, Look>> = {
  async ready(_scene, { url }) {
    const { status } = await fetch(`${url}/readyz`, { keepalive: false });
    return status === 200 ? null : `${status}`;
  },
  async "the list of nodes"({ cluster, nodes }, node) {
    const living = (await cluster.nodesSeenBy(node)).filter(({ state }) => state !== "dead");
    const states = inOrder(living.map(({ url, state }) => `${url} ${state}`));
    return states === inOrder(nodes.map(({ url }) => `${url} up`)) ? null : states;
  },
  async "who is in the room"(scene, node) {
    const answer = await apiOf(node, tokenOf(scene)).call<{
      members: { sessionId: string; status: string }[];
    }>("GET", `/v1/rooms/${HALL}/presence`);
    if (answer.status !== 200) return `${answer.status}`;
    const online = answer.body.members.filter(({ status }) => status === "online");
    if (inOrder(online.map(({ sessionId }) => sessionId)) === everybody(scene)) return null;
    return `${online.length} of ${answer.body.members.length} online`;
  },
  async "a small job"(scene, node) {
    const body = tokensBody({}, { metadata: CHECK });
    const { status } = await apiOf(node, tokenOf(scene)).post(body, { prefer: "wait=3" });
    return status === 200 ? null : `${status}`;
  },
};

/** What each client sees. */
function ofClients(scene: Scene): string | null {
  for (const { clients: sockets, sessionId } of scene.clients) {
    const socket = sockets.at(-1);
    if (socket === undefined || socket.closed !== null) return `${sessionId} has no socket`;
    const seen = [...together(socket, HALL).values()];
    const online = seen.filter(({ status }) => status === "online").map((member) => member.sessionId);
    if (inOrder(online) === everybody(scene) && seen.length === online.length) continue;
    const others = seen.filter(({ status }) => status !== "online");
    return `${sessionId} at ${socket.welcome.node} sees ${online.length} online and ${JSON.stringify(others)}`;
  }
  return null;
}

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

async function ailment(scene: Scene): Promise<string | null> {
  for (const [what, look] of Object.entries(OF_NODES)) {
    for (const [n, node] of scene.nodes.entries()) {
      const found = await within("an answer", look(scene, node), CALL_MS).catch(String);
      if (found !== null) return `node ${n}, ${what}: ${found}`;
    }
  }
  return ofClients(scene) ?? ((await isHeard(scene)) ? null : "what is said in the room is not heard by all");
}

/** Resolves when nothing is the matter, with what was last, and all that was if it took long; throws with what still is. */
export async function untilWell(scene: Scene): Promise<string> {
  let last = "nothing";
  const beganAt = Date.now();
  const course: string[] = [];
  const look = async (): Promise<boolean> => {
    const found = await ailment(scene).catch(String);
    if (found !== null && found !== last) course.push(`\n  ${Date.now() - beganAt} ms: ${found}`);
    if (found !== null) last = found;
    return found === null;
  };
  await until("all to be well", look, LIMIT_MS).catch((error: unknown) => {
    throw new Error(`${String(error)}: ${last}`, { cause: error });
  });
  return Date.now() - beganAt < LONG_MS || course.length === 0 ? last : course.join("");
}
