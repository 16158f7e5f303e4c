/** The backplane contract on the driver of one process. */
import { expect, test } from "bun:test";
import { createLocalNetwork } from "../../src/backplane/local.ts";
import { recordingLogger } from "../handlers/run-setup.ts";
import { describeBackplane } from "./backplane.ts";

const named = (index: number) => ({ nodeId: `node-${index}`, logger: recordingLogger().logger });

describeBackplane(
  "the local driver",
  async (count) => {
    const network = createLocalNetwork();
    const nodes = Array.from({ length: count }, (_, index) => network.join(named(index)));
    return { nodes, close: () => Promise.resolve() };
  },
  { loses: false },
);

test("a node without others is alone, before its start and after", async () => {
  const network = createLocalNetwork();
  const [one, two] = [network.join(named(0)), network.join(named(1))];
  expect(one.alone).toBe(true);
  await one.start();
  expect(one.alone).toBe(true);
  await two.start();
  expect(one.alone).toBe(false);
  await two.stop();
  expect(one.alone).toBe(true);
});
