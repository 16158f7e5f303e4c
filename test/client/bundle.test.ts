/** The page as it is served: small, whole, and fit for a policy that allows nothing inline. */
import { expect, test } from "bun:test";
import { buildWeb } from "../../src/web/build.ts";

const files = await buildWeb();
const decoder = new TextDecoder();
const text = (path: string): string => decoder.decode(files.get(path)?.bytes);
const page = text("/index.html");

test("every file the page asks for is there, and its name changes with its content", () => {
  const asked = [...page.matchAll(/<(?:link|script)[^>]* (?:href|src)="\.?(\/[^"]+)"/g)].map(
    ([, path]) => path ?? "",
  );
  expect(asked.toSorted()).toEqual([...files.keys()].filter((path) => path !== "/index.html").toSorted());
  expect(asked.length).toBe(2);
  for (const path of asked) expect(path).toMatch(/^\/[a-z]+-[a-z0-9]{8}\.(?:js|css)$/);
  expect([...files.values()].map(({ type }) => type.split(";")[0] ?? "").toSorted()).toEqual([
    "text/css",
    "text/html",
    "text/javascript",
  ]);
});

test("assets are fetched without an Origin, so that no list of origins can keep the page from explaining itself", () => {
  expect(page).not.toMatch(/crossorigin|type="?module/);
  expect(page).toMatch(/<script defer src=/);
});

test("nothing is inline and nothing comes from elsewhere", () => {
  expect(page).not.toMatch(/<style|\sstyle=|\son[a-z]+=|<script(?![^>]* src=)/);
  const everything = [...files.keys()].map(text).join("\n");
  const elsewhere = [...everything.matchAll(/\b(?:https?:)?\/\/[a-z0-9.-]+\.[a-z]{2,}/g)].map(([url]) => url);
  expect([...new Set(elsewhere)]).toEqual(["http://www.w3.org"]);
});

test("the script brings no schema library along and stays small", () => {
  const script = [...files.keys()].find((path) => path.endsWith(".js")) ?? "";
  expect(text(script)).not.toContain("ZodError");
  expect(files.get(script)?.bytes.byteLength).toBeLessThan(48 * 1024);
});
