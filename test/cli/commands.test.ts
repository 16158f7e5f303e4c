/** The command line as people meet it: help, version, mistakes, exit codes, JSON. */
import { describe, expect, test } from "bun:test";
import { readdir } from "node:fs/promises";
import { resolve } from "node:path";
import packageJson from "../../package.json" with { type: "json" };
import { parseArguments } from "../../src/cli/arguments.ts";
import { COMMANDS } from "../../src/cli/commands.ts";
import { UsageError } from "../../src/cli/command.ts";
import { runCommand } from "../../src/cli/run.ts";
import { holdline } from "./holdline.ts";

const NAMES = Object.keys(COMMANDS);

/** The names in the first column under "Commands:". */
function listed(help: string): string[] {
  const section = /^Commands:\n((?: {2}.*\n)+)/m.exec(help)?.[1] ?? "";
  return section.split("\n").flatMap((line) => /^ {2}(\S+)/.exec(line)?.[1] ?? []);
}

describe("help", () => {
  test.each([["--help"], ["-h"], ["help"]])(
    "holdline %s lists exactly the commands there are",
    async (word) => {
      const { code, out, err } = await holdline([word]);
      expect({ code, err }).toEqual({ code: 0, err: "" });
      expect(listed(out)).toEqual(NAMES);
      expect(Math.max(...out.split("\n").map((line) => line.length))).toBeLessThanOrEqual(100);
    },
  );

  test("every command has a file, and every command's file is a command", async () => {
    const files = await readdir(resolve(import.meta.dir, "../../src/cli"));
    const parts = new Set([
      "actions.ts",
      "arguments.ts",
      "command.ts",
      "commands.ts",
      "life.ts",
      "operate.ts",
      "run.ts",
      "settings-flags.ts",
      "table.ts",
    ]);
    expect(files.filter((file) => file.endsWith(".ts") && !parts.has(file)).toSorted()).toEqual(
      NAMES.map((name) => `${name}.ts`).toSorted(),
    );
  });

  test.each(NAMES)("of %s is the same in both ways to ask for it, and fits a terminal", async (name) => {
    const asked = await holdline([name, "--help"]);
    expect(asked).toEqual(await holdline(["help", name]));
    expect(asked).toMatchObject({ code: 0, err: "" });
    expect(asked.out).toStartWith(`Usage: holdline ${name}`);
    expect(asked.out).toMatch(/^ {2}--json +\S/m);
    expect(asked.out).toMatch(/^ {2}--help +\S/m);
    expect(Math.max(...asked.out.split("\n").map((line) => line.length))).toBeLessThanOrEqual(100);
  });

  test("of serve names every setting with its default", async () => {
    const { out } = await holdline(["serve", "--help"]);
    expect(out).toMatch(/^ {2}--port NUMBER +Port to listen on; 0 takes a free one\. \[8787\]$/m);
    expect(out).toMatch(/^ {2}--durability power\|process +/m);
    expect(out).toMatch(/^ {2}--otlp-endpoint TEXT +.*\n?.*Not\s+available in this/m);
  });

  test("in JSON can be parsed", async () => {
    const { out } = await holdline(["help", "--json"]);
    const { commands } = JSON.parse(out) as { commands: { name: string; summary: string }[] };
    expect(commands.map(({ name }) => name)).toEqual(NAMES);
    const page = JSON.parse((await holdline(["help", "serve", "--json"])).out) as {
      name: string;
      flags: unknown[];
    };
    expect(page.name).toBe("serve");
    expect(page.flags.length).toBeGreaterThan(40);
  });

  test("without a command is an error, since nothing was done", async () => {
    const { code, out, err } = await holdline([]);
    expect({ code, out }).toEqual({ code: 2, out: "" });
    expect(listed(err)).toEqual(NAMES);
  });
});

describe("version", () => {
  test.each(["version", "--version", "-v"])("%s is the one of the package", async (word) => {
    const { code, out, err } = await holdline([word]);
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out).toBe(
      `holdline ${packageJson.version} (bun ${Bun.version}, ${process.platform}-${process.arch})\n`,
    );
  });

  test("in JSON can be parsed", async () => {
    const { out } = await holdline(["version", "--json"]);
    expect(JSON.parse(out)).toEqual({
      version: packageJson.version,
      bun: Bun.version,
      platform: `${process.platform}-${process.arch}`,
    });
  });
});

describe("a mistake ends with 2 and one sentence:", () => {
  const commands = NAMES.join(", ");
  const mistakes: [argv: string[], message: string][] = [
    [["srve"], `There is no command srve. Did you mean serve? Commands: ${commands}.`],
    [["constructor"], "There is no command constructor. Did you mean "],
    [["help", "confg"], "There is no command confg. Did you mean config?"],
    [["help", "serve", "migrate"], "help explains one command at a time."],
    [["--port", "1", "serve"], "--port stands before the command. Options follow it: holdline serve --port"],
    [["serve", "--prt", "1"], "--prt is not an option. Did you mean --port?"],
    [["serve", "-p", "1"], "-p is not an option. Did you mean --"],
    [["serve", "now"], "serve takes no argument, and now is one. Options begin with --."],
    [["serve", "token", "list"], "token is a command, and so is serve: holdline token stands alone."],
    [["serve", "--port"], "--port needs a value: --port=VALUE or --port VALUE."],
    [["serve", "--port", "--log"], "--port needs a value: --port=VALUE or --port VALUE."],
    [["serve", "--port", "1", "--port=2"], "--port is given twice."],
    [["version", "--json=yes"], "--json takes no value."],
    [["version", "--port", "1"], "--port is not an option. Did you mean --"],
    [["config"], "config needs one of check, print or docs: holdline config check"],
    [["config", "chekc"], "config needs one of check, print or docs: holdline config check"],
    [["config", "check", "print"], "config needs one of check, print or docs: holdline config check"],
    [["config", "toString"], "config needs one of check, print or docs: holdline config check"],
  ];
  test.each(mistakes)("%j", async (argv, message) => {
    const { code, out, err } = await holdline(argv);
    expect({ code, out }).toEqual({ code: 2, out: "" });
    expect(err).toStartWith(`holdline: ${message}`);
    expect(err).toEndWith("\nholdline help lists the commands and their options.\n");
  });

  test("in JSON when that was asked for", async () => {
    const usage = await holdline(["serve", "--prt", "1", "--json"]);
    expect(JSON.parse(usage.err)).toEqual({
      error: { code: "usage", message: "--prt is not an option. Did you mean --port?" },
    });
    const configuration = await holdline(["serve", "--port", "x", "--json"]);
    expect(configuration.code).toBe(2);
    expect(JSON.parse(configuration.err)).toMatchObject({
      error: { code: "configuration", problems: [{ key: "port", source: { kind: "flag", name: "--port" } }] },
    });
  });
});

test("what a command throws ends with 1 and its message", async () => {
  const said: string[] = [];
  const host = {
    out: () => undefined,
    err: (text: string) => void said.push(text),
    isTerminal: false,
    untilSignal: () => Promise.resolve("SIGTERM"),
    onSignal: () => undefined,
    parentLine: () => null,
    onEnd: () => undefined,
  };
  const failing = {
    ...host,
    out: (): never => {
      throw new Error("the pipe broke");
    },
  };
  expect(await runCommand(["version"], failing)).toBe(1);
  expect(said).toEqual(["holdline: the pipe broke\n"]);
});

describe("arguments", () => {
  const flags = [{ name: "port", value: "NUMBER", description: "" }];

  test("are words, flags with a value in two forms, and switches", () => {
    expect(parseArguments(["a", "--port", "-1", "--json", "b"], flags)).toEqual({
      words: ["a", "b"],
      flags: { port: "-1" },
      json: true,
      help: false,
    });
    expect(parseArguments(["--port=--x=y", "-h"], flags)).toMatchObject({
      flags: { port: "--x=y" },
      help: true,
    });
    expect(parseArguments(["--port="], flags).flags).toEqual({ port: "" });
    expect(parseArguments(["--", "--port", "-"], flags).words).toEqual(["--port", "-"]);
  });

  test("named like parts of JavaScript are unknown", () => {
    for (const name of ["__proto__", "constructor", ""]) {
      expect(() => parseArguments([`--${name}=1`], flags)).toThrow(UsageError);
    }
  });
});
