/** The one switch from the configuration to a driver of `Backplane`. */
import type { Clock } from "../lib/clock.ts";
import type { Logger } from "../lib/logger.ts";
import type { Backplane } from "./backplane.ts";
import { createLocalNetwork } from "./local.ts";
import type { Installation } from "./redis/envelope.ts";

export interface BackplaneOptions {
  /** null: this process is the only node. */
  readonly redisUrl: string | null;
  readonly nodeId: string;
  readonly bootId: string;
  /** Asked for only where there may be others. */
  readonly installation: () => Promise<Installation>;
  readonly clock: Clock;
  /** A number in [0, 1). */
  readonly random: () => number;
  readonly logger: Logger;
}

/** Not started. Rejects when the installation cannot be read. */
export async function openBackplane(options: BackplaneOptions): Promise<Backplane> {
  const { redisUrl } = options;
  if (redisUrl === null) return createLocalNetwork().join(options);
  // Loaded by who needs it: a start waits for every module.
  const { createRedisBackplane } = await import("./redis/redis.ts");
  return createRedisBackplane({ ...options, url: redisUrl, installation: await options.installation() });
}
