/** /docs: both documents as one page of plain HTML, for people. No script, nothing from elsewhere. */
import { html } from "hono/html";
import type { AsyncApi, OpenApi } from "../shape.ts";
import { schemaAnchor } from "./fields.ts";
import { closeSection, frameAnchor, frameGroups, messagesOf, objectFields } from "./frames.ts";
import {
  headerSection,
  operationGroup,
  placedOperations,
  problemSection,
  type Placed,
} from "./operations.ts";
import { prose, type Markup } from "./words.ts";

/** Relative, so that a proxy may serve it under a path. */
export const STYLE_HREF = "docs/reference.css";

const ICON =
  "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'%3E" +
  "%3Cpath d='M6 16h20' stroke='%231b6a5d' stroke-width='3'/%3E" +
  "%3Ccircle cx='7' cy='16' r='5' fill='%231b6a5d'/%3E%3Ccircle cx='25' cy='16' r='5' fill='%231b6a5d'/%3E%3C/svg%3E";

interface Group {
  readonly id: string;
  readonly title: string;
  readonly entries: readonly { readonly id: string; readonly label: Markup }[];
}

function navigation(groups: readonly Group[]): Markup {
  return html`<nav aria-label="Contents">
    <ol>
      ${groups.map(
        ({ id, title, entries }) =>
          html`<li>
            <a href="#${id}">${title}</a>
            ${
              entries.length === 0
                ? ""
                : html`<ol>
                    ${entries.map((entry) => html`<li><a href="#${entry.id}">${entry.label}</a></li>`)}
                  </ol>`
            }
          </li>`,
      )}
    </ol>
  </nav>`;
}

function operationEntry({ method, operation }: Placed): { id: string; label: Markup } {
  const label = html`<span class="method method--${method.toLowerCase()}">${method}</span>
    ${operation.summary}`;
  return { id: operation.operationId, label };
}

function frameEntries(asyncApi: AsyncApi, side: "client" | "server") {
  return messagesOf(asyncApi, side).map(([key, { title }]) => ({
    id: frameAnchor(key),
    label: html`<code>${title}</code>`,
  }));
}

/** The whole page as text. */
export async function renderPage(openApi: OpenApi, asyncApi: AsyncApi): Promise<string> {
  const operations = placedOperations(openApi);
  const byTag = Map.groupBy(operations, ({ operation }) => operation.tags[0] ?? "");
  const schemas = Object.entries({ ...openApi.components.schemas, ...asyncApi.components.schemas });
  const groups: Group[] = [
    ...openApi.tags.map(({ name }) => ({
      id: `group-${name}`,
      title: name,
      entries: (byTag.get(name) ?? []).map(operationEntry),
    })),
    { id: "headers", title: "Headers", entries: [] },
    { id: "problems", title: "Problem codes", entries: [] },
    { id: "frames-client", title: "Frames of the client", entries: frameEntries(asyncApi, "client") },
    { id: "frames-server", title: "Frames of the server", entries: frameEntries(asyncApi, "server") },
    { id: "closes", title: "Close codes", entries: [] },
    {
      id: "objects",
      title: "Objects",
      entries: schemas.map(([name]) => ({ id: schemaAnchor(name), label: html`${name}` })),
    },
  ];
  const page = html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>Holdline reference</title>
        <link rel="icon" href="${ICON}" />
        <link rel="stylesheet" href="${STYLE_HREF}" />
      </head>
      <body>
        <a class="skip" href="#main">To the content</a>
        <header>
          <h1>Holdline reference</h1>
          <p>
            version ${openApi.info.version} · <a href="openapi.json">OpenAPI ${openApi.openapi}</a> ·
            <a href="asyncapi.json">AsyncAPI ${asyncApi.asyncapi}</a>
          </p>
        </header>
        ${navigation(groups)}
        <main id="main">
          <section class="group intro" id="intro">${prose(openApi.info.description)}</section>
          ${openApi.tags.map((tag) => operationGroup(tag, byTag.get(tag.name) ?? [], openApi.components.schemas))}
          ${headerSection(openApi)} ${problemSection(openApi)} ${frameGroups(asyncApi)}
          ${closeSection(asyncApi.channels.connect["x-close-codes"])}
          <section class="group" id="objects">
            <h2>Objects</h2>
            ${schemas.map(
              ([name, schema]) =>
                html`<section class="entry" id="${schemaAnchor(name)}">
                  <h3>${name}</h3>
                  ${objectFields(schema)}
                </section>`,
            )}
          </section>
        </main>
      </body>
    </html>`;
  return String(await page);
}
