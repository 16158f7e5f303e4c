/**
 * The chat engine behind `HOLDLINE_CHAT_URL`: any server that speaks OpenAI's chat completions, asked to stream.
 *
 * Only its status code ever reaches a user: what an upstream says in words may hold keys, prompts or addresses.
 */
import type { Json } from "../../protocol/events.ts";
import { readCompletion } from "./completion.ts";
import type { ChatEngine, ChatRequest } from "./engine.ts";
import { type Fetch, refuse, upstreamFailure } from "../upstream.ts";

const WHO = "The chat upstream";

export interface OpenAiChatOptions {
  /** Base URL, such as `https://api.example.com/v1`. */
  readonly url: string;
  /** Sent as `Authorization: Bearer`, and nowhere else. */
  readonly key?: string | undefined;
  /** Model of requests that name none; "default" where there is none either. */
  readonly model?: string | undefined;
  readonly fetch?: Fetch | undefined;
}

function requestBody(request: ChatRequest, model: string): Json {
  return {
    model,
    messages: request.messages.map(({ role, content }) => ({ role, content })),
    stream: true,
    stream_options: { include_usage: true },
    ...(request.temperature === undefined ? {} : { temperature: request.temperature }),
    ...(request.maxTokens === undefined ? {} : { max_tokens: request.maxTokens }),
  };
}

/**
 * A chat engine on an OpenAI-compatible server.
 *
 * `generate` rejects with JobError of origin `upstream`: `upstream_error` (retryable, with the upstream's own
 * Retry-After) when it cannot be reached, answers 408, 429 or 5xx, answers something that is no completion, or breaks
 * off; `upstream_refused` (not retryable) for every other status. The request's model wins over the configured one.
 */
export function createOpenAiChat(options: OpenAiChatOptions): ChatEngine {
  const url = `${options.url.replace(/\/+$/, "")}/chat/completions`;
  const send: Fetch = options.fetch ?? fetch;
  const secrets = options.key ? [options.key] : [];

  async function ask(request: ChatRequest, model: string): Promise<Response> {
    const headers = new Headers({
      "Content-Type": "application/json",
      Accept: "text/event-stream, application/json",
      traceparent: request.traceparent,
    });
    if (options.key) headers.set("Authorization", `Bearer ${options.key}`);
    const body = JSON.stringify(requestBody(request, model));
    try {
      // A redirect is not followed: the conversation and the key belong to the address the operator wrote.
      const init = { method: "POST", headers, body, signal: request.signal, timeout: false } as const;
      return await send(url, { ...init, redirect: "manual" });
    } catch (error) {
      request.signal.throwIfAborted();
      throw upstreamFailure(`${WHO} cannot be reached.`, { cause: error });
    }
  }

  return {
    upstream: true,
    async generate(request, write) {
      const model = request.model ?? options.model ?? "default";
      const response = await ask(request, model);
      if (!response.ok) await refuse(response, WHO, secrets);
      return { model, ...(await readCompletion(response, { signal: request.signal, secrets, write })) };
    },
  };
}
