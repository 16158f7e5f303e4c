/** `holdline keys`: what it shows, what it changes, what it refuses (what a server makes of it: test/abuse/admin.test.ts). */
import { describe, expect, test } from "bun:test";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { createKeyFolder } from "../../src/sessions/keys/folder.ts";
import { makeKey } from "../../src/sessions/keys/store.ts";
import { operate, operateJson } from "../support/operator.ts";
import { startServer } from "../support/server.ts";
import { holdline, temporaryFolder } from "./holdline.ts";

interface Keys {
  items: { kid: string; createdAt: string; signs: boolean }[];
}
interface Rotated {
  kid: string;
  createdAt: string;
  older: string[];
  neededUntil: string;
}

describe("keys", () => {
  test("list, rotate and remove work without a server, on the folder of one", async () => {
    await using folder = await temporaryFolder();
    const run = (...argv: string[]) => holdline(["keys", ...argv, "--data-dir", folder.path]);
    const first = JSON.parse((await run("rotate", "--json")).out) as Rotated;
    expect(first.older).toEqual([]);
    const settings = ["--session-token-ms", "60000", "--resume-ms", "5000"];
    const second = JSON.parse((await run("rotate", "--json", ...settings)).out) as Rotated;
    expect(second.older).toEqual([first.kid]);
    expect(Date.parse(second.neededUntil) - Date.parse(second.createdAt)).toBe(65_000);

    const listed = JSON.parse((await run("list", "--json")).out) as Keys;
    expect(listed.items).toEqual([
      { kid: second.kid, createdAt: second.createdAt, signs: true },
      { kid: first.kid, createdAt: first.createdAt, signs: false },
    ]);
    const table = (await run("list")).out.split("\n");
    expect(table[0]).toMatch(/^KID +CREATED +USE$/);
    expect(table[1]).toMatch(new RegExp(`^${second.kid} +${second.createdAt} +signs$`));
    expect(table[2]).toMatch(new RegExp(`^${first.kid} +${first.createdAt} +verifies$`));

    const signing = await run("remove", second.kid);
    expect(signing).toMatchObject({ code: 1, out: "" });
    expect(signing.err).toContain("holdline keys rotate makes another one first");
    expect((await run("remove", first.kid)).out).toBe(
      "Removed: its tokens are refused within a few seconds.\n",
    );
    const again = await run("remove", first.kid);
    expect(again).toMatchObject({ code: 1, out: "" });
    expect(await readdir(join(folder.path, "keys"))).toEqual([`${second.kid}.json`]);
  });

  test("no key is named like an option, and one of an earlier version is named so that it can be removed", async () => {
    // One thumbprint of 64 begins with a hyphen: of these, four are to be expected.
    const made = await Promise.all(Array.from({ length: 256 }, makeKey));
    expect(made.filter(({ kid }) => kid.startsWith("-"))).toEqual([]);

    await using folder = await temporaryFolder();
    const run = (...argv: string[]) => holdline(["keys", "--data-dir", folder.path, ...argv]);
    const store = createKeyFolder(folder.path);
    await store.add({ ...(await makeKey()), kid: "-like-an-option" }, 1);
    const { out } = await run("rotate");
    const [, words = ""] = /\n {2}holdline keys (remove .*)\n/.exec(out) ?? [];
    expect((await run(...words.split(" "))).out).toStartWith("Removed: ");
  });

  test("rotate says in words what to remove, and when", async () => {
    await using server = await startServer();
    const { items } = await operateJson<Keys>(server, ["keys", "list"]);
    const { code, out, err } = await operate(server, ["keys", "rotate"]);
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out).toContain(`\n  holdline keys remove ${items[0]?.kid}\n`);
    expect(out).toContain("\nTokens of the older key stay good until it is removed:\n");
    expect(out).toMatch(/\nNobody needs it after \d{4}-\d\d-\d\dT[\d:.]+Z\.\n$/);
    const again = await operate(server, ["keys", "rotate"]);
    expect(again.out).toContain("\nTokens of the older keys stay good until these are removed:\n");
    expect(again.out).toContain("\nNobody needs them after ");
  });

  test.each([{ argv: ["list"] }, { argv: ["rotate"] }, { argv: ["remove", "x"] }])(
    "$argv makes nothing where no server has been, or where the keys are in memory",
    async ({ argv }) => {
      await using folder = await temporaryFolder();
      const dataDir = join(folder.path, "data");
      const nowhere = await holdline(["keys", ...argv, "--data-dir", dataDir]);
      expect(nowhere).toMatchObject({ code: 1, out: "" });
      expect(nowhere.err).toContain(`there is no data folder at ${dataDir} yet`);
      const memory = await holdline(["keys", ...argv, "--database-url", "sqlite::memory:"], {
        cwd: folder.path,
      });
      expect(memory).toMatchObject({ code: 1, out: "" });
      expect(memory.err).toContain("with a database in memory");
      expect(await readdir(folder.path)).toEqual([]);
    },
  );

  test("asks for a word it knows", async () => {
    for (const argv of [[], ["rotat"], ["remove"], ["list", "x"]]) {
      expect((await holdline(["keys", ...argv])).code).toBe(2);
    }
  });
});
