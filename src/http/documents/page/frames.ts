/** The socket on the reference page: frames both ways, the binary frame, close codes. */
import { html } from "hono/html";
import type { AsyncApi, AsyncOperation, BinaryField, CloseCode, Message, Schema } from "../shape.ts";
import { fieldList, fieldsOf } from "./fields.ts";
import { folded, inline, prose, sample, type Markup } from "./words.ts";

const MESSAGES = "#/channels/connect/messages/";

/** Where a message stands on the page. */
export function frameAnchor(key: string): string {
  return `frame-${key.replaceAll(".", "-")}`;
}

/** Fields beside the one that names the frame. */
function withoutType(schema: Schema): Schema {
  const { type: _, ...properties } = schema.properties ?? {};
  return { ...schema, properties };
}

function kindList(kinds: readonly Schema[]): Markup {
  return html`<h4>Kinds</h4>
    <dl class="kinds">
      ${kinds.map(({ title = "", properties }) => {
        const data = properties?.["data"] ?? {};
        const fields = fieldsOf(data);
        const words = data.description === undefined ? "" : html`<p>${inline(data.description)}</p>`;
        const nothing = fields.length === 0 && data.type === "object";
        return html`<div>
          <dt><code>${title}</code></dt>
          <dd>${words}${fields.length > 0 || nothing ? fieldList(fields) : ""}</dd>
        </div>`;
      })}
    </dl>`;
}

/** An object with its fields; of an entry of the log the kinds as well. */
export function objectFields(schema: Schema): Markup {
  const kinds = schema.oneOf ?? [];
  return html`${fieldList(fieldsOf(schema))}${kinds.length === 0 ? "" : kindList(kinds)}`;
}

function answersOf(operation: AsyncOperation | undefined): Markup {
  const messages = operation?.reply?.messages ?? [];
  if (messages.length === 0) return html``;
  return html`<p class="quiet">
    Answered by
    ${messages.map(({ $ref }, index) => {
      const key = $ref.slice(MESSAGES.length);
      return html`${index === 0 ? "" : " or "}<a href="#${frameAnchor(key)}"
          ><code>${key.split(".")[1]}</code></a
        >`;
    })}
  </p>`;
}

function binaryTable(layout: readonly BinaryField[]): Markup {
  return html`<table>
    <thead>
      <tr>
        <th>Bytes</th>
        <th>Field</th>
        <th>Meaning</th>
      </tr>
    </thead>
    <tbody>
      ${layout.map(({ name, offset, bytes, description }) => {
        const last = bytes === null ? "…" : bytes === 1 ? "" : `–${offset + bytes - 1}`;
        return html`<tr>
          <td>${offset}${last}</td>
          <td><code>${name}</code></td>
          <td>${inline(description)}</td>
        </tr>`;
      })}
    </tbody>
  </table>`;
}

function section(key: string, message: Message, operation: AsyncOperation | undefined): Markup {
  const { title, summary, payload, examples = [] } = message;
  const layout = message["x-binary-layout"];
  const direction = key.startsWith("client.") ? "client → server" : "server → client";
  const { oneOf: kinds = [], ...fields } = withoutType(payload);
  return html`<section class="entry" id="${frameAnchor(key)}">
    <h3><code>${title}</code> <span class="direction">${direction}</span></h3>
    <p>${inline(summary)}</p>
    ${answersOf(operation)} ${layout === undefined ? fieldList(fieldsOf(fields)) : binaryTable(layout)}
    ${
      kinds.length === 0
        ? ""
        : html`<p class="quiet">
            <code>data</code> is what the kind says: see <a href="#schema-Event">Event</a>. Kinds that are
            bytes come as <a href="#${frameAnchor("server.binary")}">binary frames</a>.
          </p>`
    }
    ${examples.map((one) => folded("Example", sample(one.payload)))}
  </section>`;
}

/** Messages of one direction, `client` or `server`, with the name each has on the channel. */
export function messagesOf(document: AsyncApi, side: "client" | "server"): [string, Message][] {
  return Object.entries(document.components.messages).filter(([key]) => key.startsWith(`${side}.`));
}

export function frameGroups(document: AsyncApi): Markup {
  const operationOf = (key: string): AsyncOperation | undefined =>
    Object.values(document.operations).find(({ messages }) => messages[0]?.$ref === MESSAGES + key);
  const all = (side: "client" | "server") =>
    messagesOf(document, side).map(([key, message]) => section(key, message, operationOf(key)));
  const { description } = document.channels.connect;
  return html`<section class="group" id="frames-client">
      <h2>Frames of the client</h2>
      ${prose(document.info.description)} ${prose(description)} ${all("client")}
    </section>
    <section class="group" id="frames-server">
      <h2>Frames of the server</h2>
      ${all("server")}
    </section>`;
}

export function closeSection(closes: readonly CloseCode[]): Markup {
  return html`<section class="group" id="closes">
    <h2>Close codes</h2>
    <p>
      The reason of a close is its name. Below 4500 a client comes back by itself, with back-off; from 4500 on
      not before something else was done.
    </p>
    <dl class="answers">
      ${closes.map(
        ({ code, name, reconnect, advice }) =>
          html`<div>
            <dt><span class="status status--${reconnect ? "3" : "4"}">${code}</span></dt>
            <dd>
              <p><code>${name}</code></p>
              <p>${inline(advice)}</p>
            </dd>
          </div>`,
      )}
    </dl>
  </section>`;
}
