/** /asyncapi.json: the socket as AsyncAPI 3.0, made from the schemas of the frames and the words about them. */
import { SUBPROTOCOL } from "../../protocol/frames.ts";
import { type DocumentOptions, infoOf } from "./openapi.ts";
import type { ClientFrameType, PublishedSchemas, ServerFrameType } from "./schemas.ts";
import type { AsyncApi, AsyncOperation, Message, Reference, Schema } from "./shape.ts";
import { BINARY_LAYOUT, CLIENT_FRAMES, CLOSES, SERVER_FRAMES } from "./socket-words.ts";

const DESCRIPTION = `What goes over \`/v1/connect\`, both ways. Actions are the server's: it receives what a client sends.

Frames are JSON text; audio and bytes come as binary frames. A client frame may carry an \`id\`, given back as \`re\`. Clients ignore frame types and fields they do not know.

A job that is submitted with the session's token while its socket is open is attached by itself. After a reconnect \`attach\` with the last seq that was handled gives everything after it, or says that it cannot.`;

const CONNECT_ADDRESS = "/v1/connect";
/** Where a server listens unless it is told otherwise: a default for tools, to be changed by their users. */
const DEFAULT_HOST = "localhost:8787";

/** A client and a server frame of one type are two messages. */
const CLIENT = "client.";
const SERVER = "server.";
const BINARY = "server.binary";

const CHANNEL: Reference = { $ref: "#/channels/connect" };

function onChannel(name: string): Reference {
  return { $ref: `#/channels/connect/messages/${name}` };
}

function serversOf(publicUrl: string | null): AsyncApi["servers"] {
  const security = [{ $ref: "#/components/securitySchemes/bearer" }];
  if (publicUrl === null) {
    const host = { default: DEFAULT_HOST, description: "Host and port." };
    return {
      this: { host: "{host}", protocol: "ws", description: "This server.", variables: { host }, security },
    };
  }
  const { host, protocol } = new URL(publicUrl);
  const scheme = protocol === "https:" ? "wss" : "ws";
  return { public: { host, protocol: scheme, description: "Public address.", security } };
}

function jsonMessage(
  type: string,
  words: { readonly summary: string; readonly example: unknown },
  payload: Schema,
): Message {
  return {
    name: type,
    title: type,
    summary: words.summary,
    contentType: "application/json",
    payload,
    examples: [{ payload: words.example }],
  };
}

const binaryMessage: Message = {
  name: "binary",
  title: "binary event",
  summary: "An entry of the log that is bytes: audio, or `output.data` that was written as bytes.",
  contentType: "application/octet-stream",
  payload: {
    type: "string",
    contentMediaType: "application/octet-stream",
    description: "A header of 24 bytes, then the payload (`x-binary-layout`).",
  },
  "x-binary-layout": BINARY_LAYOUT,
};

function messagesOf({ clientFrames, serverFrames }: PublishedSchemas): Record<string, Message> {
  const client = (Object.keys(CLIENT_FRAMES) as ClientFrameType[]).map((type) => [
    CLIENT + type,
    jsonMessage(type, CLIENT_FRAMES[type], clientFrames[type]),
  ]);
  const server = (Object.keys(SERVER_FRAMES) as ServerFrameType[]).map((type) => [
    SERVER + type,
    jsonMessage(type, SERVER_FRAMES[type], serverFrames[type]),
  ]);
  return Object.fromEntries([...client, ...server, [BINARY, binaryMessage]]) as Record<string, Message>;
}

function receives(): [string, AsyncOperation][] {
  return Object.entries(CLIENT_FRAMES).map(([type, { summary, answers }]) => [
    `receive.${type}`,
    {
      action: "receive",
      channel: CHANNEL,
      summary,
      messages: [onChannel(CLIENT + type)],
      ...(answers === undefined
        ? {}
        : { reply: { channel: CHANNEL, messages: answers.map((answer) => onChannel(SERVER + answer)) } }),
    },
  ]);
}

function sends(): [string, AsyncOperation][] {
  const operations = Object.entries(SERVER_FRAMES).map(([type, words]): [string, AsyncOperation] => [
    `send.${type}`,
    {
      action: "send",
      channel: CHANNEL,
      summary: words.summary,
      messages: type === "event" ? [onChannel(SERVER + type), onChannel(BINARY)] : [onChannel(SERVER + type)],
      ...("reply" in words
        ? { reply: { channel: CHANNEL, messages: [onChannel(CLIENT + words.reply)] } }
        : {}),
    },
  ]);
  return operations;
}

/** Named schemas that `root` leads to, by whatever way. */
function reachable(root: unknown, named: Readonly<Record<string, Schema>>): Record<string, Schema> {
  const found: Record<string, Schema> = {};
  const open = [JSON.stringify(root)];
  for (let text = open.pop(); text !== undefined; text = open.pop()) {
    for (const [, name = ""] of text.matchAll(/"#\/components\/schemas\/(\w+)"/g)) {
      const schema = named[name];
      if (schema === undefined || name in found) continue;
      found[name] = schema;
      open.push(JSON.stringify(schema));
    }
  }
  return found;
}

export function createAsyncApi({ version, publicUrl }: DocumentOptions, schemas: PublishedSchemas): AsyncApi {
  const messages = messagesOf(schemas);
  return {
    asyncapi: "3.0.0",
    info: infoOf("Holdline over WebSocket", version, DESCRIPTION),
    defaultContentType: "application/json",
    servers: serversOf(publicUrl),
    channels: {
      connect: {
        address: CONNECT_ADDRESS,
        title: "The socket",
        description: `Opened with the subprotocol \`${SUBPROTOCOL}\`; further entries may carry tokens: \`bearer.<user or session token>\`, \`session.<session token>\`.`,
        messages: Object.fromEntries(
          Object.keys(messages).map((name) => [name, { $ref: `#/components/messages/${name}` }]),
        ),
        bindings: {
          ws: {
            method: "GET",
            headers: {
              type: "object",
              properties: {
                "Sec-WebSocket-Protocol": {
                  type: "string",
                  description: `Has to offer ${SUBPROTOCOL}, which is what the server answers.`,
                },
              },
              required: ["Sec-WebSocket-Protocol"],
            },
            bindingVersion: "0.1.0",
          },
        },
        "x-subprotocol": SUBPROTOCOL,
        "x-close-codes": CLOSES,
      },
    },
    operations: Object.fromEntries([...receives(), ...sends()]),
    components: {
      messages,
      schemas: reachable(messages, schemas.named),
      securitySchemes: {
        bearer: {
          type: "http",
          scheme: "bearer",
          bearerFormat: "JWT",
          description: "Where a client can set headers; a browser offers it as a subprotocol.",
        },
      },
    },
  };
}
