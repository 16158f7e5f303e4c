/** What a visitor does on the playground and sees there, for its tests. */
import type { Page } from "playwright-core";
import type { Json } from "../../src/protocol/events.ts";

/** The last answer on the page. */
export const LAST = ".exchange:last-child .reply";

/** Writes a message, chooses the kind of answer and presses Send. */
export async function say(page: Page, text: string, mode = "voice"): Promise<void> {
  await page.check(`input[name=mode][value=${mode}]`, { force: true });
  await page.fill("#message", text);
  await page.click("#send");
}

/** The text of the last answer, without the marks of what happened to the connection. */
export function textOf(page: Page): Promise<string> {
  return page.evaluate((selector) => {
    const copy = document.querySelector(`${selector} .reply__text`)?.cloneNode(true) as Element | null;
    for (const mark of copy?.querySelectorAll(".cut-mark") ?? []) mark.remove();
    return copy?.textContent ?? "";
  }, LAST);
}

/** Resolves when the last answer has at least so many characters. */
export async function untilWritten(page: Page, chars: number): Promise<void> {
  await page.waitForFunction(
    ([selector, least]) =>
      (document.querySelector(`${selector} .reply__text`)?.textContent?.length ?? 0) >= least,
    [LAST, chars] as const,
  );
}

/** Resolves when the last answer's job stands like this. */
export async function untilStatus(page: Page, status: string): Promise<void> {
  await page.waitForSelector(`${LAST}[data-status=${status}]`);
}

/** What the server itself has to say about the last answer: `path` below its job, asked with the page's own token. */
export function ask(page: Page, path: string): Promise<Json> {
  return page.evaluate(
    async ([selector, below]) => {
      const job = document.querySelector<HTMLElement>(selector)?.dataset["job"] ?? "";
      const stored = sessionStorage.getItem(`holdline:${location.origin}`) ?? "{}";
      const { token } = JSON.parse(stored) as { token: string };
      const response = await fetch(`/v1/jobs/${job}${below}`, {
        headers: { Authorization: `Bearer ${token}` },
      });
      return (await response.json()) as Json;
    },
    [LAST, path] as const,
  );
}

/** The page's own count of gaps in any log. */
export async function gaps(page: Page): Promise<number> {
  return Number(await page.textContent("#fact-gaps"));
}

/** Sample frames handed to the audio hardware, and seconds it has run. */
export function sound(page: Page): Promise<{ readonly frames: number; readonly seconds: number }> {
  return page.evaluate(() => {
    const { frames, seconds } = document.querySelector<HTMLElement>("#sound")?.dataset ?? {};
    return { frames: Number(frames), seconds: Number(seconds) };
  });
}
