/** A real Chromium for tests of pages, and pages that remember everything that went wrong in them. */
import { afterAll, beforeAll } from "bun:test";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import { requireService } from "../services.ts";

const FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--autoplay-policy=no-user-gesture-required",
];

export interface OpenPage extends AsyncDisposable {
  readonly page: Page;
  /** Errors and warnings of the console (violations of the content security policy are among them), uncaught errors. */
  readonly problems: string[];
}

/** Opens the playground in a profile of its own and waits until its connection is in `phase` (online). */
export type OpenTab = (url: string, options?: BrowserContextOptions, phase?: string) => Promise<OpenPage>;

/** One browser for all tests of a file. */
export function sharedBrowser(): OpenTab {
  let browser: Browser | undefined;
  beforeAll(async () => {
    requireService("chromium");
    browser = await chromium.launch({ executablePath: Bun.which("chromium") ?? "", args: FLAGS });
  });
  afterAll(async () => {
    await browser?.close();
  });
  return async (url, options = {}, phase = "online") => {
    if (browser === undefined) throw new Error("the browser is not there yet");
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
    const page = await context.newPage();
    const problems: string[] = [];
    page.on("console", (message) => {
      if (["error", "warning"].includes(message.type())) problems.push(message.text());
    });
    page.on("pageerror", (error) => problems.push(String(error)));
    await page.goto(url);
    await page.waitForSelector(`#connection[data-phase=${phase}]`);
    return { page, problems, [Symbol.asyncDispose]: () => context.close() };
  };
}
