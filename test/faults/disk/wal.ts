/** A write-ahead log that grows under a server, for tests that watch what becomes of it. */
import { expect } from "bun:test";
import { call, tokensBody, type Api } from "../../support/http.ts";
import type { TestServer } from "../../support/server.ts";
import { valueOf } from "../../telemetry/scrape.ts";

export const MIB = 1024 * 1024;
export const ALARM =
  "the write-ahead log does not shrink: another program may keep the database open in a transaction";

/** Some 10 MB of output. */
const LARGE = tokensBody({ tokens: 150, size: 1, audioBytes: 65_536 });
/** Runs at a time: their writes share commits. */
const AT_ONCE = 4;

export async function walBytes({ url }: Pick<TestServer, "url">): Promise<number> {
  return valueOf((await call("GET", `${url}/metrics`)).text, "holdline_wal_bytes");
}

/** Runs large jobs until a look at the server says that it is enough, or they are refused for want of room; their ids. */
export async function writeUntil(api: Api, enough: () => Promise<boolean>): Promise<string[]> {
  const ids: string[] = [];
  const write = async (): Promise<void> => {
    while (!(await enough())) {
      const answer = await api.post(LARGE);
      if (answer.status === 503) return;
      expect(answer.text).toContain('"id"');
      ids.push(answer.body.id);
      await api.finished(answer.body.id);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, write));
  return ids;
}
