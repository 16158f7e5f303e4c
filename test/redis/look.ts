/** What the doctor, as a process of its own, says of a Redis. */
import type { Finding } from "../../src/cli/doctor/finding.ts";
import { holdline, temporaryFolder } from "../cli/holdline.ts";

export interface Look {
  /** `ok: 127.0.0.1:6379: version …` */
  readonly verdict: string;
  /** All that was printed. */
  readonly said: string;
}

export async function lookAtRedis(url: string, env: Readonly<Record<string, string>> = {}): Promise<Look> {
  await using folder = await temporaryFolder();
  const { out, err } = await holdline(["doctor", "--json", "--port", "0"], {
    cwd: folder.path,
    env: { ...env, HOLDLINE_REDIS_URL: url },
  });
  const { findings } = JSON.parse(out) as { findings: Finding[] };
  const found = findings.find(({ name }) => name === "Redis");
  return { verdict: `${found?.level}: ${found?.text}`, said: out + err };
}
