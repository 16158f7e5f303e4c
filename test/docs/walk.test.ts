/**
 * The first walk of docs/protocol.md, walked: a real server is asked what the document asks, and has to answer what
 * stands there, but for ids, tokens and times. The type `tokens` writes what can be foretold, so the rest is equal.
 */
import { expect, test } from "bun:test";
import { connect, type Client } from "../support/client.ts";
import { apiOf, newSession } from "../support/http.ts";
import { sharedServer } from "../support/server.ts";
import { blocksOf, framesOf, messagesOf, parseJson, readDocument, type Message } from "./document.ts";

const server = sharedServer();
const document = await readDocument();
const messages = messagesOf(document);

/** What is different each time. */
const VARYING = new Set([
  ..."at re id job token tokenExpiresAt createdAt startedAt lastSeenAt traceId userId nodeId node".split(" "),
  ..."self events output cancel url instance outputUrl".split(" "),
]);

/** The value with what varies replaced by its type, so that only what must be equal is compared. */
function fixed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(fixed);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [
      name,
      VARYING.has(name) && typeof member !== "object" ? typeof member : fixed(member),
    ]),
  );
}

/** The nth message of a section, requests and answers counted alike. */
function messageOf(section: string, nth: number): Message {
  const found = messages.filter(({ block }) => block.section === section)[nth];
  if (found === undefined) throw new Error(`${section} has no message ${nth}`);
  return found;
}

const bodyOf = ({ body, block }: Message): unknown => parseJson(body, block);

/** Header names that the document shows; all of them have to be there. */
function expectHeaders(headers: Headers, { headers: shown }: Message): void {
  for (const name of shown.keys()) expect(headers.get(name), name).not.toBeNull();
}

/** Frames of the server in a section's transcripts, those of jobs that match. */
function shownFrames(section: string, type: string): unknown[] {
  return framesOf(document, "←")
    .filter(({ block }) => block.section === section)
    .map(({ frame, block }) => parseJson(frame, block))
    .filter((frame) => frame["type"] === type);
}

/** Submits the document's first job on this socket; resolves with its id and the answer when its events have come. */
async function walk(client: Client) {
  const request = messageOf("A first walk", 0);
  const answer = await apiOf(server(), client.token).post(bodyOf(request));
  await client.waitForEnd(answer.body.id);
  return { answer, id: answer.body.id };
}

test("connect, submit, events, ack: all as it stands in the first walk", async () => {
  await using client = await connect(server());
  const [welcome] = shownFrames("A first walk", "welcome");
  expect(fixed(client.welcome)).toEqual(fixed(welcome));

  const { answer, id } = await walk(client);
  const accepted = messageOf("A first walk", 1);
  expect(answer.status).toBe(accepted.status ?? 0);
  expect(fixed(answer.body)).toEqual(fixed(bodyOf(accepted)));
  expectHeaders(answer.headers, accepted);

  expect(client.frames("event").map(fixed)).toEqual(shownFrames("A first walk", "event").map(fixed));
  expect(client.events(id).map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  const ok = await client.ask({ type: "ack", job: id, seq: 8 });
  expect(fixed(ok)).toEqual(fixed(shownFrames("A first walk", "ok")[0]));
});

test("the audio of its two binary frames is the one in the dump", async () => {
  await using client = await connect(server());
  const { id } = await walk(client);
  const [dump = ""] = blocksOf(document, "hex").map(({ content }) => content);
  const hex = dump.replaceAll(/^\w\w {2}/gm, "").replaceAll(/\s/g, "");
  const fifth = client.events(id).find(({ seq }) => seq === 5);
  expect(fifth?.bytes).toEqual(Uint8Array.fromHex(hex).slice(24));
});

test("a resume beyond the log is told as it stands there", async () => {
  await using client = await connect(server());
  const { id } = await walk(client);
  const [, ahead] = shownFrames("Attaching and resuming", "attached").filter(
    (frame) => !(frame as { recovered: boolean }).recovered,
  );
  expect(fixed(await client.attach(id, 50))).toEqual(fixed(ahead));
});

test("output, audio and streams of such a job are what the document shows", async () => {
  await using client = await connect(server());
  const { id } = await walk(client);
  const api = apiOf(server(), client.token);
  const path = `/v1/jobs/${id}`;

  const output = messageOf("`GET /v1/jobs/{id}/output`", 1);
  expect(fixed(await api.output(id))).toEqual(fixed(bodyOf(output)));

  const headers = { authorization: `Bearer ${client.token}` };
  const audio = await fetch(`${server().url}${path}/audio`, { headers });
  expectHeaders(audio.headers, messageOf("`GET /v1/jobs/{id}/audio`", 1));
  const [wav] = blocksOf(document, "wav").map(({ content }) => content.replaceAll(/\s/g, ""));
  expect((await audio.bytes()).toHex()).toBe(wav ?? "");
  const part = await fetch(`${server().url}${path}/audio`, { headers: { ...headers, range: "bytes=44-47" } });
  const partial = messageOf("`GET /v1/jobs/{id}/audio`", 3);
  expect({ status: part.status, range: part.headers.get("content-range") }).toEqual({
    status: partial.status ?? 0,
    range: partial.headers.get("content-range") ?? "",
  });

  const shownLines = (tag: string): unknown[] =>
    blocksOf(document, tag).flatMap((block) =>
      [...block.content.matchAll(/^(?:data: )?(\{.*)$/gm)].map(([, line = ""]) =>
        fixed(parseJson(line, block)),
      ),
    );
  const lines = (text: string): unknown[] =>
    [...text.matchAll(/^(?:data: )?(\{.*)$/gm)].map(([, line = ""]) => fixed(JSON.parse(line)));
  const sse = await fetch(`${server().url}${path}/events`, {
    headers: { ...headers, accept: "text/event-stream", "last-event-id": "5" },
  });
  expect(lines(await sse.text())).toEqual(shownLines("sse"));
  const ndjson = await fetch(`${server().url}${path}/events?after=5`, {
    headers: { ...headers, accept: "application/x-ndjson" },
  });
  expect(lines(await ndjson.text())).toEqual(shownLines("ndjson"));
});

test("a submit with three faults is refused with the problem that is shown whole", async () => {
  const api = await newSession(server());
  const shown = messageOf("Problems", 0);
  const body = { type: "chat", input: { messages: [] }, priority: 99, lane: 7, color: "red" };
  const answer = await api.post(body);
  expect(answer.status).toBe(shown.status ?? 0);
  expect(fixed(answer.body)).toEqual(fixed(bodyOf(shown)));
  expect(answer.body.instance).toBe("/v1/jobs");
});

test("a session that is opened over HTTP looks as it does there", async () => {
  const answer = await apiOf(server(), "").call<object>("POST", "/v1/sessions");
  const shown = messageOf("`POST /v1/sessions`", 1);
  expect(answer.status).toBe(shown.status ?? 0);
  expect(fixed(answer.body)).toEqual(fixed(bodyOf(shown)));
  expectHeaders(answer.headers, shown);
});

test("every answer bears the headers that are shown once for all", async () => {
  const shown = messageOf("Every answer", 0);
  for (const path of ["/readyz", "/v1/jobs", "/v1/nothing"]) {
    const { headers } = await fetch(server().url + path);
    expectHeaders(headers, shown);
    for (const name of ["x-content-type-options", "referrer-policy", "content-security-policy"])
      expect(headers.get(name)).toBe(shown.headers.get(name) ?? "");
  }
});
