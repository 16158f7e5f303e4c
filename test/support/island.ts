/**
 * A network namespace of a test's own (Linux, as root): what runs in it reaches the test's machine over one cable, and
 * what passes that cable is dropped by the kernel, by port and direction. Nobody on either side is told.
 */
import { requireService } from "../services.ts";
import { until } from "./wait.ts";

export type Dropped = "out" | "in" | "both";

export interface Island extends AsyncDisposable {
  /** Of the machine, as the island knows it. */
  readonly mainland: string;
  /** Of the island. */
  readonly address: string;
  /** Put in front of a command that is to run there. */
  readonly under: readonly string[];
  /** Servers on the mainland that listen at these ports: what is sent to them, comes from them, or both, is lost. */
  cut(ports: readonly number[], dropped: Dropped): Promise<void>;
  heal(): Promise<void>;
}

async function run(command: readonly string[], input = ""): Promise<void> {
  const child = Bun.spawn([...command], { stdin: new Blob([input]), stdout: "ignore", stderr: "pipe" });
  const said = await new Response(child.stderr).text();
  if ((await child.exited) !== 0) throw new Error(`${command.join(" ")}: ${said.trim()}`);
}

/** Addresses of a cable, from a range that nobody routes (RFC 2544). */
function drawAddresses(): { mainland: string; address: string } {
  const net = `198.18.${Math.floor(Math.random() * 256)}.${4 * Math.floor(Math.random() * 64)}`.split(".");
  const at = (n: number): string => [...net.slice(0, 3), Number(net[3]) + n].join(".");
  return { mainland: at(1), address: at(2) };
}

export async function startIsland(): Promise<Island> {
  requireService("iproute2");
  requireService("nftables");
  if (process.getuid?.() !== 0)
    throw new Error("this test makes a network namespace, which takes root: run it as root");
  const tag = Math.random().toString(36).slice(2, 8);
  const [name, here, there] = [`holdline-${tag}`, `hl-${tag}-a`, `hl-${tag}-b`];
  const { mainland, address } = drawAddresses();
  const inside = ["ip", "netns", "exec", name];
  const remove = (): Promise<void> => run(["ip", "netns", "del", name]);
  await run(["ip", "netns", "add", name]);
  try {
    await run(["ip", "link", "add", here, "type", "veth", "peer", "name", there, "netns", name]);
    await run(["ip", "address", "add", `${mainland}/30`, "dev", here]);
    await run(["ip", "link", "set", here, "up"]);
    await run(["ip", "-n", name, "address", "add", `${address}/30`, "dev", there]);
    await run(["ip", "-n", name, "link", "set", there, "up"]);
    await run(["ip", "-n", name, "link", "set", "lo", "up"]);
    await run(
      [...inside, "nft", "-f", "-"],
      "table inet cable {\n" +
        "chain out { type filter hook output priority 0; }\n" +
        "chain in { type filter hook input priority 0; }\n}\n",
    );
  } catch (error) {
    await remove();
    throw error;
  }
  const heal = (): Promise<void> => run([...inside, "nft", "-f", "-"], "flush table inet cable\n");
  return {
    mainland,
    address,
    under: [...inside],
    async cut(ports, dropped) {
      const set = `{ ${ports.join(", ")} }`;
      const rules = [
        ...(dropped === "in" ? [] : [`add rule inet cable out tcp dport ${set} drop`]),
        ...(dropped === "out" ? [] : [`add rule inet cable in tcp sport ${set} drop`]),
      ];
      await run([...inside, "nft", "-f", "-"], `${rules.join("\n")}\n`);
    },
    heal,
    async [Symbol.asyncDispose]() {
      // A namespace lives as long as a process in it, and its end of the cable with it.
      await run(["ip", "link", "del", here]).catch(() => undefined);
      await until("the namespace to go", () =>
        remove().then(
          () => true,
          () => false,
        ),
      );
    },
  };
}
