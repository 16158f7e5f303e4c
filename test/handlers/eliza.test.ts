/** The built-in engine: that it answers like itself every time, hands words back the right way round, and cannot be stalled. */
import { describe, expect, test } from "bun:test";
import { createElizaEngine, ELIZA_MODEL } from "../../src/handlers/chat/eliza/eliza.ts";
import { respond } from "../../src/handlers/chat/eliza/respond.ts";
import { compileScript } from "../../src/handlers/chat/eliza/rules.ts";
import { SCRIPT } from "../../src/handlers/chat/eliza/script.ts";
import { clausesOf, reflect } from "../../src/handlers/chat/eliza/words.ts";
import type { ChatMessage } from "../../src/handlers/chat/engine.ts";
import { createSystemClock } from "../../src/lib/clock.ts";
import { createInstantClock } from "./fake-job.ts";

const script = compileScript(SCRIPT);

/** The answers to one message after the other of the same conversation. */
function talk(...said: readonly string[]): string[] {
  const messages: ChatMessage[] = [];
  return said.map((content) => {
    messages.push({ role: "user", content });
    const answer = respond(script, messages);
    messages.push({ role: "assistant", content: answer });
    return answer;
  });
}

const lower = (text: string): string[] =>
  clausesOf(text).map((clause) => clause.map((word) => word.lower).join(" "));

describe("words", () => {
  const clauses: [text: string, clauses: string[]][] = [
    ["I'm sad, and you?", ["i am sad", "you"]],
    ["I can’t sleep; it’s late. Don't ask!", ["i cannot sleep", "it is late", "do not ask"]],
    ["I like it but she doesn't", ["i like it", "she does not"]],
    ["My name's Bob and I like trains", ["my name is bob", "i like trains"]],
    ["my husband and I fight", ["my husband and i fight"]],
    ["Well, so, please help me", ["well", "so", "help me"]],
    ["I really just want a holiday", ["i want a holiday"]],
    ["Dr. Who uses socket.io", ["dr who uses socket.io"]],
    ["Anna's dog", ["anna's dog"]],
    ["GRÜSSE AUS KÖLN", ["grüsse aus köln"]],
    ["\u{1F600} ... ?!", []],
    ["", []],
  ];
  test.each(clauses)("of %j are cut into clauses", (text, expected) => {
    expect(lower(text)).toEqual(expected);
  });

  const reflections: [text: string, reflected: string][] = [
    ["I am afraid of my own dog", "you are afraid of your own dog"],
    ["you are my friend", "I am your friend"],
    ["I was here and you were there", "you were here and I was there"],
    ["my boss told me that I should thank you", "your boss told you that you should thank me"],
    ["you hate me", "I hate you"],
    ["Anna gave it to you yesterday", "Anna gave it to me yesterday"],
    ["we lost our way and blame ourselves", "you lost your way and blame yourselves"],
    ["it is yours", "it is mine"],
    ["what are you", "what am I"],
    ["she was angry at myself", "she was angry at yourself"],
  ];
  test.each(reflections)("%j come back as %j", (text, reflected) => {
    expect(reflect(clausesOf(text).flat())).toBe(reflected);
  });
});

describe("an answer", () => {
  test("is the same for the same conversation, on any engine at any time", () => {
    const said = ["Hello!", "I am sad.", "My brother hates me", "xyzzy", "xyzzy plugh", "Why?", "I am sad."];
    const once = talk(...said);
    const other = compileScript(SCRIPT);
    const messages = said.map((content): ChatMessage => ({ role: "user", content }));
    expect(said.map((_, turn) => respond(other, messages.slice(0, turn + 1)))).toEqual(once);
  });

  test("does not depend on what the assistant or the system is made to say", () => {
    const user: ChatMessage = { role: "user", content: "I am sad." };
    const more: ChatMessage[] = [
      { role: "system", content: "I hate my mother" },
      { role: "assistant", content: "My dog died" },
    ];
    expect(respond(script, [...more, user])).toBe(respond(script, [user]));
  });

  test("takes the next template each time, and begins again after the last", () => {
    const answers = talk("I am happy now", "I am happy today", "I am happy again");
    expect(answers[0]).not.toBe(answers[1]);
    expect(answers[2]).toBe(answers[0] ?? "");
  });

  test("hands the user's words back from the other side", () => {
    expect(talk("I want to leave my town")[0]).toContain("for you to leave your town?");
    expect(talk("I am angry with my sister because she lied")[0]).toContain("So it is your sister.");
    expect(talk("My mother thinks you are my friend")[0]).toContain("Your mother thinks I am your friend");
    expect(talk("My name is Anna")[0]).toContain("Anna");
  });

  test("goes by the keyword of the highest rank, wherever it stands", () => {
    const sad = talk("Hello there. I am so sad today, and it rains.")[0] ?? "";
    expect(sad).toContain("sad");
    expect(talk("I have a cat. Are you a robot? It is late.")[0]).toContain("program");
  });

  test("goes by the last clause where ranks are equal", () => {
    expect(talk("I like tulips. I am from Kiel.")[0]).toContain("Kiel");
  });

  test("comes back to an earlier topic when nothing matches", () => {
    const answers = talk(
      "My garden is full of weeds",
      "I feel like a fool",
      "Zork.",
      "Frobnicate.",
      "Quux blorb.",
    );
    expect(answers[2]).toContain("your garden is full of weeds");
    expect(answers[3]).not.toContain("garden");
    expect(answers[4]).not.toContain("garden");
    expect(new Set(answers).size).toBe(5);
  });

  test("looks back over two hundred messages and no further", () => {
    const said = ["My garden is full of weeds", ...Array.from({ length: 198 }, () => "Yes."), "Zork."];
    expect(talk(...said).at(-1)).toContain("your garden");
    expect(talk(...said.toSpliced(1, 0, "Yes.")).at(-1)).not.toContain("your garden");
  });

  test("notices that the very same thing is said again", () => {
    const [first, second, third] = talk("I am sad today", "I am sad today", "I am happy today");
    expect(SCRIPT.repeated).toContain(second ?? "");
    expect(SCRIPT.repeated).not.toContain(first ?? "");
    expect(SCRIPT.repeated).not.toContain(third ?? "");
  });

  test.each(["", "   ", "\u{1F600}\u{1F600}", "?!...", "\ud83d"])(
    "to %j, which has no words, says so",
    (text) => {
      expect(SCRIPT.wordless).toContain(talk(text)[0] ?? "");
    },
  );

  const honest = [
    "Who are you?",
    "What are you?",
    "Tell me about yourself",
    "Are you ChatGPT?",
    "Which model is this?",
    "What is the capital of France?",
    "Write me a program",
  ];
  test.each(honest)("to %j says that a real model is connected by HOLDLINE_CHAT_URL", (question) => {
    expect(talk(question)[0]).toContain("HOLDLINE_CHAT_URL");
  });

  test.each(["I want to kill myself", "I think about suicide.", "hello. i do not want to live any more"])(
    "to %j sends to a person",
    (text) => {
      expect(talk(text)[0]).toContain("crisis line");
    },
  );

  test("never shows the engine's own marks, whatever words come together", () => {
    const all = SCRIPT.keywords.flatMap(({ words }) => words.map((word) => word.replace("@", "my ")));
    const shapes = [
      (word: string) => word,
      (word: string) => `I am ${word} you`,
      (word: string) => `what is the ${word} {1}`,
      (word: string) => `my mother is ${word} about $& {2^}`,
    ];
    for (const word of all) {
      for (const shape of shapes) {
        const answer = talk(shape(word))[0] ?? "";
        expect(answer).toMatch(/^[A-Z]/);
        expect(answer).toMatch(/[.?!]$/);
        expect(answer).not.toMatch(/[{}@*|]|undefined|\s{2}| [.,?!]/);
      }
    }
  });
});

describe("the script", () => {
  const rules = SCRIPT.keywords.flatMap((keyword) => keyword.rules);

  test("covers a good deal", () => {
    expect(SCRIPT.keywords.length).toBeGreaterThan(80);
    expect(rules.length).toBeGreaterThan(250);
  });

  test("fills its templates only with what their patterns capture", () => {
    for (const { when, say, remember = "" } of rules) {
      const captures = when.split(" ").filter((part) => /^[*+@]/.test(part)).length;
      for (const [mark] of [...say, remember].join(" ").matchAll(/\{\d/g)) {
        expect(Number(mark.slice(1))).toBeWithin(1, captures + 1);
      }
    }
  });

  test("answers in at least two sentences, or in verse", () => {
    const lists = [
      ...rules.map(({ say }) => say),
      SCRIPT.nothing,
      SCRIPT.recall,
      SCRIPT.repeated,
      SCRIPT.wordless,
    ];
    for (const template of lists.flat()) {
      expect(template.match(/[.?!](\s|$)|\n/g)?.length ?? 0).toBeGreaterThan(1);
    }
  });

  test("that names a group it does not have is refused", () => {
    const keywords = [{ words: ["a"], rank: 1, rules: [{ when: "* @nobody *", say: ["No."] }] }];
    expect(() => compileScript({ ...SCRIPT, keywords })).toThrow("no group @nobody");
  });
});

describe("patterns", () => {
  function capturesOf(when: string, text: string): string[] | null {
    const keywords = [{ words: ["x", "y", "z"], rank: 1, rules: [{ when, say: ["Yes."] }] }];
    const found = compileScript({ ...SCRIPT, groups: { letter: ["y", "z"] }, keywords }).find(
      clausesOf(text)[0] ?? [],
    );
    return found?.captures.map((words) => words.map((word) => word.raw).join(" ")) ?? null;
  }
  const rows: [when: string, text: string, captures: string[] | null][] = [
    ["x", "x", []],
    ["x", "x a", null],
    ["x", "a x", null],
    ["*", "a x", ["a x"]],
    ["* x *", "a x b x c", ["a", "b x c"]],
    ["* x", "a x b x", ["a x b"]],
    ["* x", "x a", null],
    ["* x +", "a x", null],
    ["* x +", "a x b", ["a", "b"]],
    ["x + y", "x y", null],
    ["x + y", "x a y", ["a"]],
    ["* x|y z *", "a y z b", ["a", "b"]],
    ["* x|y z *", "a x y b z", null],
    ["* @letter a *", "z b Z a c", ["z b", "z", "c"]],
    ["x * a b * c", "x a a b b c c", ["a", "b c"]],
  ];
  test.each(rows)("%j on %j", (when, text, captures) => {
    expect(capturesOf(when, text)).toEqual(captures);
  });
});

describe("hostile input", () => {
  const most = 100_000;
  const full = (text: string): string => text.repeat(Math.ceil(most / text.length)).slice(0, most);
  const inputs = [
    "a ",
    "i am not ",
    "my my, you. ",
    "'-'-.",
    "\n",
    "a-",
    "a.b.",
    "x",
    "\ud83d",
    "do you what my family i you are because always ",
    "* @sad {1} $& \\",
    "и ",
  ];
  test.each(inputs)("of 100,000 characters of %j is answered in less than 50 ms", (text) => {
    const content = full(text);
    respond(script, [{ role: "user", content: "warm up" }]);
    const startedMs = performance.now();
    const answer = respond(script, [{ role: "user", content }]);
    expect(performance.now() - startedMs).toBeLessThan(50);
    expect(answer.length).toBeWithin(10, 1000);
  });

  test("in a conversation of 5,000 messages does not add up", () => {
    const content = full("do you what my family i you are ");
    const messages = Array.from({ length: 5000 }, (): ChatMessage => ({ role: "user", content }));
    const startedMs = performance.now();
    respond(script, messages);
    expect(performance.now() - startedMs).toBeLessThan(1000);
  });
});

describe("the engine", () => {
  const request = {
    messages: [{ role: "user", content: "Who are you?" }] as const,
    signal: new AbortController().signal,
    traceparent: "",
  };

  test("writes word by word, each with its blank, at an even pace", async () => {
    const clock = createInstantClock();
    const deltas: string[] = [];
    const outcome = await createElizaEngine({ clock }).generate(request, (delta) => {
      deltas.push(delta);
      return Promise.resolve();
    });
    expect(outcome).toEqual({ model: ELIZA_MODEL, finishReason: "stop" });
    expect(deltas.join("")).toBe(respond(script, request.messages));
    for (const delta of deltas.slice(0, -1)) expect(delta).toMatch(/^\S+\s+$/);
    expect(deltas.at(-1)).toMatch(/^\S+$/);
    expect(clock.waits).toEqual(deltas.map(() => 25));
  });

  test("counts words for maxTokens", async () => {
    const deltas: string[] = [];
    await createElizaEngine({ clock: createInstantClock() }).generate(
      { ...request, maxTokens: 5 },
      (delta) => {
        deltas.push(delta);
        return Promise.resolve();
      },
    );
    expect(deltas.join("")).toBe("I am a small rule-based");
  });

  test("stops at once when it is aborted, also while it waits", async () => {
    const controller = new AbortController();
    const canceled = new Error("canceled");
    let writes = 0;
    const ended = createElizaEngine({ clock: createSystemClock() }).generate(
      { ...request, signal: controller.signal },
      () => {
        writes += 1;
        queueMicrotask(() => controller.abort(canceled));
        return Promise.resolve();
      },
    );
    expect(await ended.catch((error: unknown) => error)).toBe(canceled);
    expect(writes).toBe(1);
  });

  test("waits for whoever reads", async () => {
    const first = Promise.withResolvers<void>();
    const called = Promise.withResolvers<void>();
    let writes = 0;
    const ended = createElizaEngine({ clock: createInstantClock() }).generate(
      { ...request, maxTokens: 2 },
      () => {
        writes += 1;
        called.resolve();
        return writes === 1 ? first.promise : Promise.resolve();
      },
    );
    await called.promise;
    await new Promise((resolve) => setImmediate(resolve));
    expect(writes).toBe(1);
    first.resolve();
    await ended;
    expect(writes).toBe(2);
  });

  test("is no upstream", () => {
    expect(createElizaEngine({ clock: createInstantClock() }).upstream).toBe(false);
  });
});
