/** Text of the documents as HTML: paragraphs and `code`, everything else escaped. */
import { html } from "hono/html";

export type Markup = ReturnType<typeof html>;

/** One line of text; what stands between backticks is code. */
export function inline(text: string): Markup {
  const parts = text.split("`");
  return html`${parts.map((part, index) => (index % 2 === 1 ? html`<code>${part}</code>` : part))}`;
}

/** Paragraphs, parted by empty lines. */
export function prose(text: string): Markup {
  return html`${text.split("\n\n").map((paragraph) => html`<p>${inline(paragraph)}</p>`)}`;
}

/** JSON as it is read by people; text that is no JSON as it stands. */
export function sample(value: unknown): Markup {
  const text = typeof value === "string" ? value.trimEnd() : JSON.stringify(value, null, 2);
  // A region that scrolls has to be reachable by keyboard.
  return html`<pre tabindex="0"><code>${text}</code></pre>`;
}

/** Something folded away until it is wanted; works without scripts. */
export function folded(title: string, content: Markup): Markup {
  return html`<details>
    <summary>${title}</summary>
    ${content}
  </details>`;
}
