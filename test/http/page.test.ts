/** The reference page: every part of both documents stands on it, links lead somewhere, and nothing on it runs or is fetched from elsewhere. */
import { beforeAll, describe, expect, test } from "bun:test";
import { createAsyncApi } from "../../src/http/documents/asyncapi.ts";
import { createOpenApi } from "../../src/http/documents/openapi.ts";
import { inline, prose, sample } from "../../src/http/documents/page/words.ts";
import { publishSchemas } from "../../src/http/documents/schemas.ts";
import { sharedApp } from "./real-app.ts";

const app = sharedApp();
const options = { version: "0", publicUrl: null, authCookie: "c" };
const openApi = createOpenApi(options, publishSchemas());
const asyncApi = createAsyncApi(options, publishSchemas());

let page = "";
let headers = new Headers();
beforeAll(async () => {
  const answer = await fetch(`${app().url}/docs`);
  ({ headers } = answer);
  page = await answer.text();
});

/** Values of an attribute on the page, with the tags that bear it. */
async function attributes(name: string): Promise<{ tag: string; value: string }[]> {
  const found: { tag: string; value: string }[] = [];
  const rewriter = new HTMLRewriter().on(`[${name}]`, {
    element: (element) => void found.push({ tag: element.tagName, value: element.getAttribute(name) ?? "" }),
  });
  await rewriter.transform(new Response(page)).text();
  return found;
}

describe("the reference page", () => {
  test("has a place for every operation, frame, close code, problem code and object", async () => {
    const ids = new Set((await attributes("id")).map(({ value }) => value));
    const operations = Object.values(openApi.paths).flatMap((one) => Object.values(one));
    for (const { operationId } of operations) expect(ids).toContain(operationId);
    for (const code of Object.keys(openApi["x-problem-codes"])) expect(ids).toContain(`problem-${code}`);
    for (const key of Object.keys(asyncApi.components.messages))
      expect(ids).toContain(`frame-${key.replace(".", "-")}`);
    for (const name of Object.keys({ ...openApi.components.schemas, ...asyncApi.components.schemas }))
      expect(ids).toContain(`schema-${name}`);
    for (const { code, name } of asyncApi.channels.connect["x-close-codes"]) {
      expect(page).toContain(`>${code}</span>`);
      expect(page).toContain(`<code>${name}</code>`);
    }
  });

  test("has no id twice and no link that leads nowhere", async () => {
    const ids = (await attributes("id")).map(({ value }) => value);
    expect(ids).toHaveLength(new Set(ids).size);
    const links = (await attributes("href")).filter(({ tag }) => tag === "a").map(({ value }) => value);
    expect(links.length).toBeGreaterThan(200);
    const dead = links.filter((link) => link.startsWith("#") && !ids.includes(link.slice(1)));
    expect(dead).toEqual([]);
    const pages = new Set(links.filter((link) => !link.startsWith("#")));
    for (const link of pages) expect((await fetch(new URL(link, `${app().url}/docs`))).status).toBe(200);
  });

  test("runs nothing and fetches nothing but its stylesheet", async () => {
    expect(page).not.toMatch(/<script|<style|\son\w+=|\sstyle=|javascript:/i);
    expect((await attributes("src")).map(({ value }) => value)).toEqual([]);
    const fetched = (await attributes("href")).filter(({ tag }) => tag === "link").map(({ value }) => value);
    expect(fetched.filter((href) => !href.startsWith("data:"))).toEqual(["docs/reference.css"]);
    const policy = headers.get("content-security-policy") ?? "";
    expect(policy).toContain("default-src 'none'");
    expect(policy).not.toMatch(/unsafe|\*|https?:/);
    const style = await fetch(`${app().url}/docs/reference.css`);
    expect(style.headers.get("content-type")).toBe("text/css; charset=utf-8");
    expect(await style.text()).not.toMatch(/url\(|@import/);
  });

  test("can be read by those who cannot see it", async () => {
    expect(page).toContain('<html lang="en">');
    expect(page.match(/<h1/g)).toHaveLength(1);
    for (const landmark of ["<header", "<nav aria-label", '<main id="main"', 'href="#main"'])
      expect(page).toContain(landmark);
  });
});

describe("words", () => {
  test("are escaped, in code as well", async () => {
    expect(String(await inline('a <b> & `c<d>` "e"'))).toBe(
      "a &lt;b&gt; &amp; <code>c&lt;d&gt;</code> &quot;e&quot;",
    );
    expect(String(await sample({ x: "</pre><script>" }))).not.toContain("<script>");
  });

  test("fall into paragraphs at empty lines", async () => {
    expect(String(await prose("one\n\ntwo"))).toBe("<p>one</p><p>two</p>");
  });
});
