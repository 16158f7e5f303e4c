/** What /openapi.json, /asyncapi.json and /docs answer: each made when it is first asked for, then kept as bytes. */
import { createAsyncApi } from "./asyncapi.ts";
import { createOpenApi, type DocumentOptions } from "./openapi.ts";
import { renderPage } from "./page/page.ts";
import style from "./page/reference.css" with { type: "text" };
import { publishSchemas } from "./schemas.ts";

export interface Document {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Media type, `ETag` and whatever else belongs to it. */
  readonly headers: Readonly<Record<string, string>>;
}

export type DocumentName = "openapi" | "asyncapi" | "page" | "style";

export type Documents = (name: DocumentName) => Promise<Document>;

/** The page needs its stylesheet and the icon inside it, and nothing else may happen on it. */
const PAGE_POLICY =
  "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

function documentOf(text: string, type: string, headers: Readonly<Record<string, string>> = {}): Document {
  const bytes = new TextEncoder().encode(text);
  const etag = `"${Bun.hash(bytes).toString(36)}"`;
  return { bytes, headers: { "Content-Type": type, "Cache-Control": "no-cache", ETag: etag, ...headers } };
}

function once<Value>(make: () => Value): () => Value {
  let made: { readonly value: Value } | null = null;
  return () => (made ??= { value: make() }).value;
}

/** Nothing is made before the first call. */
export function createDocuments(options: DocumentOptions): Documents {
  const schemas = once(publishSchemas);
  const openApi = once(() => createOpenApi(options, schemas()));
  const asyncApi = once(() => createAsyncApi(options, schemas()));
  const makers: Readonly<Record<DocumentName, () => Promise<Document>>> = {
    openapi: once(async () => documentOf(JSON.stringify(openApi()), "application/json")),
    asyncapi: once(async () => documentOf(JSON.stringify(asyncApi()), "application/json")),
    page: once(async () =>
      documentOf(await renderPage(openApi(), asyncApi()), "text/html; charset=utf-8", {
        "Content-Security-Policy": PAGE_POLICY,
      }),
    ),
    style: once(async () => documentOf(style, "text/css; charset=utf-8")),
  };
  return (name) => makers[name]();
}
