/** The test runner's own rules: what it takes for a failure, and what it asks for when a program is missing. */
import { describe, expect, test } from "bun:test";
import { judge } from "../run.ts";
import { isPresent, missingFor, missingMessage, requireService, type Service } from "../services.ts";

describe("the verdict on a run of bun test", () => {
  const cases: [name: string, printed: string, bunExitCode: number, exitCode: number, lastLine: string][] = [
    ["all passed", " 12 pass\n 0 fail\n", 0, 0, "12 passed, 0 failed"],
    ["colours in the summary", "\u001b[32m 12 pass\u001b[0m\n 0 fail\n", 0, 0, "12 passed, 0 failed"],
    ["some failed", " 10 pass\n 2 fail\n", 1, 1, "10 passed, 2 failed"],
    ["an error outside of tests", " 10 pass\n 0 fail\n 1 error\n", 1, 1, "10 passed, 1 failed"],
    ["an error counted by bun as well", " 2 pass\n 4 fail\n 1 error\n", 1, 1, "2 passed, 4 failed"],
    ["a skipped test", " 12 pass\n 1 skip\n 0 fail\n", 0, 1, "12 passed, 0 failed"],
    ["a test that is still to do", " 12 pass\n 1 todo\n 0 fail\n", 0, 1, "12 passed, 0 failed"],
    ["no test", " 0 pass\n 0 fail\n", 0, 1, "0 passed, 0 failed"],
    ["a crash before the summary", "Segmentation fault\n", 139, 139, "0 passed, 1 failed"],
    ["a test that prints a summary", " 7 fail\n 12 pass\n 0 fail\n", 0, 0, "12 passed, 0 failed"],
  ];
  test.each(cases)("%s", (_name, printed, bunExitCode, exitCode, lastLine) => {
    const verdict = judge(printed, bunExitCode);
    expect(verdict.exitCode).toBe(exitCode);
    expect(verdict.lines.at(-1)).toBe(lastLine);
  });
});

describe("services", () => {
  const here: Service = { name: "shell", proof: "sh", debianPackage: "dash", neededBy: ["a/"] };
  const alsoHere: Service = {
    name: "passwords",
    proof: "/etc/pass*d",
    debianPackage: "passwd",
    neededBy: ["a/"],
  };
  const absent: Service = {
    name: "absent",
    proof: "no-such-program",
    debianPackage: "absent-pkg",
    neededBy: ["b/"],
  };
  const alsoAbsent: Service = {
    name: "gone",
    proof: "/no/such/*/file",
    debianPackage: "gone-pkg",
    neededBy: ["b/x.test.ts"],
  };
  const all = [here, alsoHere, absent, alsoAbsent];

  test("are found on the PATH or by a pattern of paths", () => {
    expect(all.map(isPresent)).toEqual([true, true, false, false]);
  });

  test("are missing only for the files that need them", () => {
    expect(missingFor(["a/x.test.ts"], all)).toEqual([]);
    expect(missingFor(["a/x.test.ts", "b/y.test.ts"], all)).toEqual([absent]);
    expect(missingFor(["b/x.test.ts"], all)).toEqual([absent, alsoAbsent]);
  });

  test("that are missing are named with the command that installs them", () => {
    const message = missingMessage([absent, alsoAbsent]);
    expect(message).toContain("missing: absent, gone");
    expect(message).toEndWith("apt-get install -y --no-install-recommends absent-pkg gone-pkg");
  });

  test("fail the test that requires them, and nothing else", () => {
    expect(() => requireService("shell", all)).not.toThrow();
    expect(() => requireService("absent", all)).toThrow("missing: absent");
    expect(() => requireService("unheard of", all)).toThrow("knows no unheard of");
  });
});
