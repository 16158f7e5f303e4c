/** `[schedules.NAME]` in holdline.toml: what is taken, and the very words of what is refused. */
import { describe, expect, test } from "bun:test";
import { load, refused } from "./load.ts";

test("a schedule needs a pattern and a type; the rest has defaults", () => {
  const { config } = load({ file: '[schedules.nightly]\ncron = "30 3 * * *"\ntype = "chat"\n' });
  expect(config.schedules).toHaveLength(1);
  expect(config.schedules[0]).toMatchObject({
    name: "nightly",
    cron: "30 3 * * *",
    timeZone: "UTC",
    type: "chat",
    input: {},
    userId: "schedule:nightly",
    priority: null,
    metadata: {},
    maxAttempts: null,
    timeoutMs: null,
    startWithinMs: null,
    catchUp: "one",
  });
});

test("a schedule may say everything", () => {
  const file = `[schedules."a.b"]
cron = "*/5 * * * * *"\ntimeZone = "America/New_York"\ntype = "chat"\ninput = { messages = [{ role = "user", content = "x" }] }
user_id = "alice"\npriority = 0\nmetadata = { a = "b" }\nmaxAttempts = 1\ntimeout_ms = 2\nstart_within_ms = 3\ncatch_up = "none"\n`;
  expect(load({ file }).config.schedules[0]).toMatchObject({
    name: "a.b",
    timeZone: "America/New_York",
    input: { messages: [{ role: "user", content: "x" }] },
    userId: "alice",
    priority: 0,
    metadata: { a: "b" },
    maxAttempts: 1,
    timeoutMs: 2,
    startWithinMs: 3,
    catchUp: "none",
  });
});

describe("a schedule is refused in words:", () => {
  const GOOD = 'cron = "* * * * *"\ntype = "chat"\n';
  const CRON = "Allowed: a cron pattern such as 30 3 * * *.";
  const bad: [what: string, file: string, ...messages: string[]][] = [
    [
      "no table",
      "[[schedules]]\nx = 1\n",
      "schedules (holdline.toml line 1) is not a table. Allowed: [schedules.NAME].",
    ],
    [
      "nothing in it",
      "[schedules.n]\n",
      `schedules.n.cron (holdline.toml line 1) is missing. ${CRON}`,
      "schedules.n.type (holdline.toml line 1) is missing. Allowed: the name of a job type.",
    ],
    [
      "an unknown key",
      `[schedules.n]\n${GOOD}timezone = "UTC"\n`,
      "schedules.n.timezone (holdline.toml line 4) is not a key of [schedules.n]. Did you mean time_zone?",
    ],
    [
      "a pattern that is none",
      '[schedules.n]\ncron = "61 * * * *"\ntype = "chat"\n',
      `schedules.n.cron (holdline.toml line 2) "61 * * * *" is not a cron pattern (Invalid value for minute: 61). ${CRON}`,
    ],
    [
      "a pattern that never strikes",
      '[schedules.n]\ncron = "0 0 31 2 *"\ntype = "chat"\n',
      `schedules.n.cron (holdline.toml line 2) "0 0 31 2 *" never strikes. ${CRON}`,
    ],
    [
      "a time zone that is none",
      `[schedules.n]\n${GOOD}time_zone = "Mars/Olympus"\n`,
      'schedules.n.time_zone (holdline.toml line 4) "Mars/Olympus" is not a time zone that is known here. Allowed: a time zone such as Europe/Berlin.',
    ],
    [
      "a date in its input",
      `[schedules.n]\n${GOOD}input = { day = 1979-05-27 }\n`,
      "schedules.n.input (holdline.toml line 4) is not JSON: dates have to be texts.",
    ],
    [
      "metadata that are none",
      `[schedules.n]\n${GOOD}metadata = { a = 1 }\n`,
      "schedules.n.metadata.a (holdline.toml line 4) is not metadata: Invalid input: expected string, received number.",
    ],
    [
      "metadata of its own",
      `[schedules.n]\n${GOOD}[schedules.n.metadata]\ntick = "now"\n`,
      "schedules.n.metadata.tick (holdline.toml line 5) is metadata that the schedule sets itself.",
    ],
    [
      "a priority that is none",
      `[schedules.n]\n${GOOD}priority = 10\n`,
      "schedules.n.priority (holdline.toml line 4) is 10. Allowed: a whole number from 0 to 9.",
    ],
  ];
  test.each(bad)("%s", (_, file, ...messages) => {
    expect(refused({ file })).toEqual(messages);
  });
});
