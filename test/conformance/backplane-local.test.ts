/** The backplane contract on the driver of one process. */
import { expect, test } from "bun:test";
import { createLocalNetwork } from "../../src/backplane/local.ts";
import { recordingLogger } from "../handlers/run-setup.ts";
import { describeBackplane } from "./backplane.ts";

describeBackplane("the local driver", async (count) => {
  const network = createLocalNetwork();
  const nodes = Array.from({ length: count }, () => network.join(recordingLogger().logger));
  return { nodes, close: () => Promise.resolve() };
});

test("a node without others is alone, before its start and after", async () => {
  const network = createLocalNetwork();
  const [one, two] = [network.join(recordingLogger().logger), network.join(recordingLogger().logger)];
  expect(one.alone).toBe(true);
  await one.start();
  expect(one.alone).toBe(true);
  await two.start();
  expect(one.alone).toBe(false);
  await two.stop();
  expect(one.alone).toBe(true);
});
