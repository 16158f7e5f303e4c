/**
 * What clients were told while the disk failed, and whether the server kept to it afterwards: each key is one job, what
 * was accepted is there, every job ended once, every log is whole, and the file is sound.
 */
import { Database } from "bun:sqlite";
import { expect } from "bun:test";
import { join } from "node:path";
import { newSession, type Api, type tokensBody } from "../../support/http.ts";
import { expectWhole, textOf } from "../../support/log-checker.ts";
import type { TestServer } from "../../support/server.ts";
import { until } from "../../support/wait.ts";
import type { JobBody } from "../../support/wire.ts";

/** `lost`: the connection ended without an answer. */
export type Told = "accepted" | "unavailable" | "lost";

interface Entry {
  readonly key: string;
  readonly body: ReturnType<typeof tokensBody>;
  readonly api: Api;
  /** Of a 202. */
  id: string | null;
}

export interface History {
  /** One submit under a new key. Throws for an answer that a failing disk does not explain. */
  submit(body: ReturnType<typeof tokensBody>): Promise<Told>;
  /** How often each answer was given. */
  readonly told: Readonly<Record<Told, number>>;
  /** Ids of the jobs that were accepted. */
  accepted(): string[];
  /** Asks for every key again until it is answered, and checks all of the above on a server that is well. */
  check(server: TestServer): Promise<void>;
}

/** The same key again until a 202 comes. */
async function askAgain({ key, body, api }: Entry): Promise<string> {
  const answer = await until(`an answer to ${key}`, async () => {
    const given = await api.post(body, { "idempotency-key": key }).catch(() => null);
    return given?.status === 202 && given;
  });
  return answer.body.id;
}

/** `PRAGMA integrity_check` of the database in this folder, which no server has open. */
export function checkIntegrity(folder: string): void {
  using db = new Database(join(folder, "holdline.db"));
  expect(db.query("PRAGMA integrity_check").all()).toEqual([{ integrity_check: "ok" }]);
}

async function checkUser(api: Api, entries: readonly Entry[]): Promise<void> {
  const ids: string[] = [];
  for (const entry of entries) {
    const id = await askAgain(entry);
    ids.push(id);
    if (entry.id !== null) expect(id).toBe(entry.id);
    const { status } = await api.finished(id);
    const log = await api.log(id);
    expectWhole(log);
    // A write that was refused and stored all the same would be there twice.
    const { tokens, size } = entry.body.input;
    if (status === "succeeded") expect(textOf(log)).toHaveLength(tokens * size);
  }
  const list = await api.call<{ items: JobBody[] }>("GET", "/v1/jobs?limit=200");
  expect(list.body.items.map(({ id }) => id).toSorted()).toEqual(ids.toSorted());
}

/** `users` clients take turns; each may have 200 jobs at most. */
export async function openHistory(server: { readonly url: string }, users = 1): Promise<History> {
  const apis = await Promise.all(Array.from({ length: users }, () => newSession(server)));
  const entries: Entry[] = [];
  const told = { accepted: 0, unavailable: 0, lost: 0 };
  const ask = async (entry: Entry): Promise<Told> => {
    const { key, body, api } = entry;
    const answer = await api.post(body, { "idempotency-key": key }).catch(() => null);
    if (answer === null) return "lost";
    if (answer.status === 503 && answer.body.code === "storage_unavailable") return "unavailable";
    if (answer.status !== 202) throw new Error(`submit ${key}: ${answer.status} ${answer.text}`);
    entry.id = answer.body.id;
    return "accepted";
  };
  return {
    told,
    accepted: () => entries.flatMap(({ id }) => (id === null ? [] : [id])),
    async submit(body) {
      const api = apis[entries.length % users] as Api;
      const entry = { key: `key-${entries.length}`, body, api, id: null };
      entries.push(entry);
      const answer = await ask(entry);
      told[answer] += 1;
      return answer;
    },
    async check(well) {
      for (const api of apis)
        await checkUser(
          api,
          entries.filter((entry) => entry.api === api),
        );
      await well.kill("SIGTERM");
      await well.exited();
      checkIntegrity(well.dataFolder);
    },
  };
}
