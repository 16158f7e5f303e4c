/** The job types that every Holdline has, on the engines that its configuration asks for. */
import type { Clock } from "../lib/clock.ts";
import { createChatHandler } from "./chat/chat.ts";
import { createElizaEngine } from "./chat/eliza/eliza.ts";
import type { ChatEngine } from "./chat/engine.ts";
import { createOpenAiChat } from "./chat/openai.ts";
import type { AnyHandler } from "./handler.ts";
import type { SpeechEngine } from "./speech/engine.ts";
import { createFliteSpeech } from "./speech/flite.ts";
import { createOpenAiSpeech } from "./speech/openai.ts";
import { createSpeechHandler } from "./speech/speech.ts";
import { createTokensHandler } from "./tokens.ts";
import { createVoiceHandler } from "./voice.ts";

export interface BuiltinOptions {
  readonly chatUrl: string | null;
  readonly chatKey: string | null;
  readonly chatModel: string | null;
  readonly speechUrl: string | null;
  readonly speechKey: string | null;
  readonly speechModel: string | null;
  readonly speechVoice: string | null;
  readonly tokens: "on" | "off" | "chaos";
  readonly clock: Clock;
  /** Ends the process at once; only `tokens` in chaos mode asks for it. */
  readonly kill: () => never;
}

export interface Builtin {
  readonly handlers: readonly AnyHandler[];
  /** Ends the engines' threads. */
  stop(): Promise<void>;
}

function createChat({ chatUrl, chatKey, chatModel, clock }: BuiltinOptions): ChatEngine {
  if (chatUrl === null) return createElizaEngine({ clock });
  return createOpenAiChat({
    url: chatUrl,
    key: chatKey ?? undefined,
    model: chatModel ?? undefined,
  });
}

function createSpeech(options: BuiltinOptions): SpeechEngine {
  const { speechUrl, speechKey, speechModel, speechVoice, clock } = options;
  if (speechUrl === null) return createFliteSpeech({ clock });
  return createOpenAiSpeech({
    url: speechUrl,
    key: speechKey ?? undefined,
    model: speechModel ?? undefined,
    voice: speechVoice ?? undefined,
  });
}

export function createBuiltin(options: BuiltinOptions): Builtin {
  const { tokens, clock, kill } = options;
  const chat = createChat(options);
  const speech = createSpeech(options);
  const handlers: AnyHandler[] = [
    createChatHandler(chat),
    createSpeechHandler(speech),
    createVoiceHandler({ chat, speech, clock }),
  ];
  if (tokens !== "off") handlers.push(createTokensHandler({ chaos: tokens === "chaos", clock, kill }));
  return { handlers, stop: async () => speech.stop?.() };
}
