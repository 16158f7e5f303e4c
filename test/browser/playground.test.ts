/** The playground in a real browser before a real server: heard, read, cut, reloaded, killed, and nothing lost. */
import { describe, expect, test } from "bun:test";
import { sharedServer, startServer } from "../support/server.ts";
import { userToken } from "../support/tokens.ts";
import { until } from "../support/wait.ts";
import { sharedBrowser } from "./browser.ts";
import { ask, gaps, LAST, say, sound, textOf, untilStatus, untilWritten } from "./playground.ts";

const server = sharedServer();
const open = sharedBrowser();

const SECRET = "a secret of thirty-two characters";
/** What the built-in engine answers at length. */
const STORY = "Tell me a story.";

describe("an answer", () => {
  test("is written word by word and spoken while it is made", async () => {
    await using tab = await open(server().url);
    const { page } = tab;
    await page.click(`.idea:text-is("${STORY}")`);
    const lengths: number[] = [];
    for (const chars of [20, 120, 300]) {
      await untilWritten(page, chars);
      expect(await page.getAttribute(LAST, "data-status")).toBe("running");
      lengths.push((await textOf(page)).length);
    }
    expect(lengths).toEqual([...lengths].toSorted((a, b) => a - b));
    const early = await until("its first sound", async () => {
      const heard = await sound(page);
      return heard.frames > 0 && heard;
    });
    expect(await page.getAttribute(LAST, "data-status")).toBe("running");
    await untilStatus(page, "succeeded");
    const late = await sound(page);
    expect(late.frames).toBeGreaterThan(early.frames);
    expect(late.seconds).toBeGreaterThan(early.seconds);

    const output = await ask(page, "/output");
    expect(await textOf(page)).toBe((output as { text: string }).text);
    // 16-bit samples: every one that the server has was scheduled.
    expect(late.frames).toBe((output as { audio: { bytes: number } }).audio.bytes / 2);
    expect(await page.textContent(`${LAST} .reply__status`)).toBe("Done");
    expect(tab.problems).toEqual([]);
  });

  test("goes on where it was after the connection was cut", async () => {
    await using tab = await open(server().url);
    const { page } = tab;
    await say(page, STORY);
    await untilWritten(page, 120);
    await page.click("#cut");
    await page.waitForSelector("#connection[data-phase=offline]");
    expect(await page.textContent("#state")).toBe("Cut");
    const before = await textOf(page);
    const mark = await page.waitForSelector(`${LAST} .cut-mark--joined`);
    expect(Number(await mark.getAttribute("data-after"))).toBeGreaterThan(0);
    expect(Number(await mark.getAttribute("data-replayed"))).toBeGreaterThan(0);
    expect(await mark.textContent()).toContain("nothing lost");
    await untilStatus(page, "succeeded");

    const output = await ask(page, "/output");
    const text = await textOf(page);
    expect(text).toBe((output as { text: string }).text);
    expect(text.startsWith(before)).toBe(true);
    expect((await sound(page)).frames).toBe((output as { audio: { bytes: number } }).audio.bytes / 2);
    expect(await gaps(page)).toBe(0);
    expect(await page.locator(".frame--replayed").count()).toBeGreaterThan(0);
    expect(tab.problems).toEqual([]);
  });

  test("goes on after the page was reloaded, and is not spoken twice", async () => {
    await using tab = await open(server().url);
    const { page } = tab;
    await say(page, STORY);
    await untilWritten(page, 120);
    await page.waitForFunction(
      () => Number(document.querySelector<HTMLElement>("#sound")?.dataset["frames"]) > 0,
    );
    const session = await page.getAttribute("#fact-session", "title");
    await page.reload();
    await page.waitForSelector("#connection[data-phase=online]");
    expect(await page.getAttribute("#fact-session", "title")).toBe(session);
    expect(await page.textContent(".exchange__asked")).toBe(STORY);
    await untilStatus(page, "succeeded");
    const output = (await ask(page, "/output")) as { text: string; audio: { bytes: number } };
    expect(await textOf(page)).toBe(output.text);
    expect(await page.textContent(`${LAST} .cut-mark--joined`)).toMatch(/^page reloaded · .*nothing lost$/);
    const { frames } = await sound(page);
    expect(frames).toBeGreaterThan(0);
    expect(frames).toBeLessThan(output.audio.bytes / 2);

    // What has ended is shown again without a job to follow.
    await page.reload();
    await untilStatus(page, "succeeded");
    expect(await textOf(page)).toBe(output.text);
    expect(await gaps(page)).toBe(0);
    expect(tab.problems).toEqual([]);
  });

  test("is begun anew after the server was killed in the middle of it", async () => {
    await using mortal = await startServer();
    await using tab = await open(mortal.url);
    const { page } = tab;
    await say(page, STORY, "chat");
    await untilWritten(page, 80);
    await mortal.kill("SIGKILL");
    const refused = (): string[] => tab.problems.filter((text) => text.includes("WebSocket connection"));
    await until("three attempts to fail", () => refused().length >= 3);
    await mortal.restart();
    await untilStatus(page, "succeeded");
    const output = (await ask(page, "/output")) as { text: string; attempt: number };
    expect(output.attempt).toBe(2);
    expect(await textOf(page)).toBe(output.text);
    expect(await page.textContent(`${LAST} .reply__detail`)).toContain("attempt 2");
    expect(await page.textContent(`${LAST} .cut-mark`)).toBe("begun anew: the server was restarted");
    expect(await gaps(page)).toBe(0);
    // However many attempts failed meanwhile.
    expect(((await page.textContent("#wire")) ?? "").match(/connection lost/g)).toHaveLength(1);
    // The browser itself complains that nobody answered for a while.
    expect(tab.problems.filter((problem) => !problem.includes("WebSocket connection"))).toEqual([]);
  });

  test("gives way to the next one, and so does its sound", async () => {
    await using tab = await open(server().url);
    const { page } = tab;
    await say(page, STORY);
    await untilWritten(page, 120);
    await page.waitForFunction(
      () => Number(document.querySelector<HTMLElement>("#sound")?.dataset["frames"]) > 0,
    );
    await say(page, "Who are you?");
    await page.waitForSelector(".exchange:nth-last-child(2) .reply[data-status=canceled]");
    await untilStatus(page, "succeeded");
    // The player of the new answer got its sound and no other's: the one of the answer before was dropped.
    const { audio } = (await ask(page, "/output")) as { audio: { bytes: number } };
    expect((await sound(page)).frames).toBe(audio.bytes / 2);
    expect(await page.textContent(".exchange:nth-last-child(2) .reply__status")).toBe("Interrupted");
    expect(await gaps(page)).toBe(0);
    expect(tab.problems).toEqual([]);
  });

  test("can be canceled", async () => {
    await using tab = await open(server().url);
    const { page } = tab;
    await say(page, STORY);
    await untilWritten(page, 40);
    await page.click(`${LAST} button:text-is("Cancel")`);
    await untilStatus(page, "canceled");
    expect(await page.isVisible(`${LAST} button:text-is("Cancel")`)).toBe(false);
    expect(await ask(page, "")).toMatchObject({ status: "canceled" });
    expect(tab.problems).toEqual([]);
  });

  test("continues the conversation", async () => {
    await using tab = await open(server().url);
    const { page } = tab;
    await say(page, "Hello", "chat");
    await untilStatus(page, "succeeded");
    const first = await page.getAttribute(LAST, "data-job");
    const posted = page.waitForRequest((request) => request.method() === "POST");
    await page.fill("#message", "I am glad");
    await page.press("#message", "Shift+Enter");
    await page.keyboard.type("that you hold the line.");
    await page.press("#message", "Enter");
    const { type, input } = (await posted).postDataJSON() as {
      type: string;
      input: { previousJobId: string; messages: { content: string }[] };
    };
    expect({ type, previousJobId: input.previousJobId }).toEqual({
      type: "chat",
      previousJobId: String(first),
    });
    expect(input.messages.at(-1)?.content).toBe("I am glad\nthat you hold the line.");
    await page.waitForSelector(".exchange:nth-child(2) .reply[data-status=succeeded]");
    expect(tab.problems).toEqual([]);
  });

  test("can be heard again as one file", async () => {
    await using tab = await open(server().url);
    const { page } = tab;
    await say(page, "All of it at once.", "speech");
    await untilStatus(page, "succeeded");
    const fetched = page.waitForResponse((response) => response.url().endsWith("/audio"));
    await page.click(`${LAST} button:text-is("Listen again")`);
    expect((await fetched).headers()["content-type"]).toBe("audio/wav");
    expect(tab.problems).toEqual([]);
  });

  test("of thousands of tokens is counted to the last", async () => {
    await using tab = await open(server().url);
    const { page } = tab;
    await page.check("input[value=tokens]", { force: true });
    await page.fill("#tokens", "3000");
    await page.click("#send");
    await untilStatus(page, "succeeded");
    await page.waitForFunction(() => document.querySelector(".tokens__number")?.textContent === "3,000");
    expect(await page.locator("#frames > li").count()).toBeLessThanOrEqual(300);
    expect(await gaps(page)).toBe(0);
    expect(tab.problems).toEqual([]);
  });
});

describe("the page", () => {
  test("keeps the kinds of answers in their frame at every width", async () => {
    await using tab = await open(server().url);
    const { page } = tab;
    for (const width of [1280, 1000, 800, 640, 360]) {
      await page.setViewportSize({ width, height: 700 });
      const beyond = await page.evaluate(() => {
        const right = (selector: string): number =>
          document.querySelector(selector)?.getBoundingClientRect().right ?? Number.NaN;
        return right(".mode:last-of-type span") - right(".modes");
      });
      expect(beyond, `${width} px`).toBeLessThanOrEqual(0.5);
    }
  });

  test("fits a phone, whatever is on it", async () => {
    await using tab = await open(server().url, {
      viewport: { width: 360, height: 720 },
      isMobile: true,
      hasTouch: true,
    });
    const { page } = tab;
    const overflow = (): Promise<number> =>
      page.evaluate(() => {
        const boxes = [
          document.documentElement,
          ...document.querySelectorAll(".transcript, .frames, .composer"),
        ];
        return Math.max(...boxes.map((box) => box.scrollWidth - box.clientWidth));
      });
    expect(await overflow()).toBe(0);
    await say(page, "unbreakable".repeat(30), "chat");
    await untilStatus(page, "succeeded");
    expect(await overflow()).toBe(0);
    await page.check("input[value=tokens]", { force: true });
    await page.click("#send");
    await page.waitForSelector(".exchange:nth-child(2) .reply[data-status=succeeded]");
    expect(await overflow()).toBe(0);
    await page.click("#show-wire");
    expect(await page.isVisible("#frames")).toBe(true);
    expect(await overflow()).toBe(0);
    await page.click("#cut");
    await page.waitForSelector("#connection[data-phase=offline]");
    expect(await overflow()).toBe(0);
    expect(tab.problems).toEqual([]);
  });

  test("says what is wrong in plain words", async () => {
    await using tab = await open(server().url);
    const { page } = tab;
    await page.click("#send");
    expect(await page.textContent("#problem")).toBe("There is nothing to send yet.");
    await page.fill("#message", "x");
    expect(await page.isVisible("#problem")).toBe(false);
    await page.check("input[value=tokens]", { force: true });
    await page.fill("#tokens", "0");
    await page.click("#send");
    expect(await page.textContent("#problem")).toContain("Tokens");
    expect(await page.locator(".exchange").count()).toBe(0);
  });

  test("gives way to another tab with the same session, and can take it back", async () => {
    await using tab = await open(server().url);
    const { page } = tab;
    // A duplicated tab begins with a copy of the session storage.
    const stored = await page.evaluate(() => JSON.stringify(sessionStorage));
    const twin = await page.context().newPage();
    await twin.addInitScript((copy) => {
      for (const [key, value] of Object.entries(JSON.parse(copy) as Record<string, string>)) {
        sessionStorage.setItem(key, value);
      }
    }, stored);
    await twin.goto(server().url);
    await page.waitForSelector("#connection[data-phase=closed]");
    expect(await page.textContent("#state")).toBe("Another tab has taken over this session.");
    await page.click("#again");
    await page.waitForSelector("#connection[data-phase=online]");
    await twin.waitForSelector("#connection[data-phase=closed]");
  });

  test("asks for a user token where the server wants one, and goes on by the session's", async () => {
    await using strict = await startServer();
    await strict.restart({
      HOLDLINE_AUTH_SECRET: SECRET,
      HOLDLINE_ALLOWED_ORIGINS: strict.url,
      HOLDLINE_TOKENS: "on",
    });
    await using tab = await open(strict.url, {}, "closed");
    const { page } = tab;
    expect(await page.textContent("#state")).toBe("The server asks who you are.");
    const refusals: [given: string, words: string][] = [
      ["x.y.z", "That token is not one of this server's users. Another user token (JWT) opens it:"],
      [
        userToken(SECRET, { sub: "alice", exp: 1 }),
        "That token has run out. Another user token (JWT) goes on:",
      ],
    ];
    for (const [given, words] of refusals) {
      await page.fill("#user-token", given);
      await page.click("#login button");
      await page.waitForFunction((text) => document.querySelector("#login-why")?.textContent === text, words);
      await page.waitForSelector("#connection[data-phase=closed]");
    }
    await page.fill("#user-token", userToken(SECRET, { sub: "alice" }));
    await page.click("#login button");
    await page.waitForSelector("#connection[data-phase=online]");
    expect(await page.isVisible("#login")).toBe(false);
    await say(page, "Hello", "chat");
    await untilStatus(page, "succeeded");
    await page.reload();
    await page.waitForSelector("#connection[data-phase=online]");
    // The browser itself complains of a token that has run out.
    expect(tab.problems.filter((problem) => !problem.includes("401"))).toEqual([]);
  });

  test("says so when its origin is not let in", async () => {
    await using elsewhere = await startServer();
    await elsewhere.restart({ HOLDLINE_ALLOWED_ORIGINS: "https://example.org" });
    await using tab = await open(elsewhere.url, {}, "closed");
    const words = `This server does not let pages from ${elsewhere.url} in (HOLDLINE_ALLOWED_ORIGINS).`;
    await tab.page.waitForFunction((text) => document.querySelector("#state")?.textContent === text, words);
  });

  test("is dark or light as one wishes, and remembers it", async () => {
    await using tab = await open(server().url, { colorScheme: "light" });
    const { page } = tab;
    const paper = (): Promise<string> => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const light = await paper();
    await page.click("#theme");
    const dark = await paper();
    expect(dark).not.toBe(light);
    await page.reload();
    expect(await paper()).toBe(dark);
  });

  test("pauses its list of frames and goes on with it", async () => {
    await using tab = await open(server().url);
    const { page } = tab;
    await page.click("#pause");
    const rows = await page.locator("#frames > li").count();
    await say(page, "Hello", "chat");
    await untilStatus(page, "succeeded");
    expect(await page.locator("#frames > li").count()).toBe(rows);
    await page.click("#pause");
    await page.waitForFunction((before) => document.querySelectorAll("#frames > li").length > before, rows);
  });
});
