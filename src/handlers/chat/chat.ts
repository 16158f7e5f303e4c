/**
 * The built-in type `chat`: what a conversation looks like on the wire, how one job continues another, and the run
 * that lets an engine write the answer. `voice` takes the same input and the same conversation from here.
 */
import { z } from "zod";
import { invalidField } from "../../protocol/error.ts";
import { defineHandler, JobError, type Handler, type InputContext, type PreviousJob } from "../handler.ts";
import type { ChatEngine, ChatMessage } from "./engine.ts";
import { createWriteWindow } from "../write-window.ts";

/** Jobs of one conversation that are read back, and the text of theirs that is given to the engine. */
export const HISTORY_JOBS = 100;
export const HISTORY_CHARS = 1024 * 1024;

const FIRST_OUTPUT_MS = 60_000;
const IDLE_MS = 30_000;
/** Deltas that may wait for their commit; past it the engine waits too. */
const WRITES_IN_FLIGHT = 64;

const CONVERSATION_TYPES: ReadonlySet<string> = new Set(["chat", "voice"]);

const messageSchema = z.strictObject({
  role: z.enum(["system", "user", "assistant"]).describe("Who speaks."),
  content: z.string().max(100_000).describe("What is said, as plain text."),
});

/** `input` of a chat job (PROTOCOL section 7); `voice` extends it. */
export const chatInputSchema = z.strictObject({
  messages: z
    .array(messageSchema)
    .min(1)
    .max(200)
    .check((context) => {
      const last = context.value.length - 1;
      if (last < 0 || context.value[last]?.role === "user") return;
      context.issues.push({
        code: "custom",
        message: "The last message must be the user's",
        path: [last, "role"],
        input: context.value,
      });
    })
    .describe("Oldest first; the last one is the user's. After previousJobId only what is new."),
  previousJobId: z
    .uuid()
    .exactOptional()
    .describe("An own, succeeded job of type chat or voice: its conversation goes on."),
  model: z
    .string()
    .min(1)
    .max(200)
    .exactOptional()
    .describe("Asked of the upstream; the built-in engine has one."),
  temperature: z
    .number()
    .min(0)
    .max(2)
    .exactOptional()
    .describe("Asked of the upstream; the built-in engine has none."),
  maxTokens: z
    .int()
    .min(1)
    .max(100_000)
    .exactOptional()
    .describe("Longest answer; the built-in engine counts words."),
});

export type ChatInput = z.infer<typeof chatInputSchema>;

/** What is read back from a job that ended; it may carry more (a voice, an audio length). */
const turnSchema = z.object({
  input: z.object({ messages: z.array(messageSchema), previousJobId: z.string().optional() }),
  result: z.object({ text: z.string() }),
});

type Turn = z.infer<typeof turnSchema>;

function turnOf(job: PreviousJob | null): Turn | null {
  if (job === null || !CONVERSATION_TYPES.has(job.type)) return null;
  return turnSchema.safeParse(job).data ?? null;
}

/** Refuses a `previousJobId` that is not an own, succeeded conversation: `invalid_request` at /input/previousJobId. */
export async function checkConversation(
  input: { readonly previousJobId?: string | undefined },
  context: Pick<InputContext, "previous">,
): Promise<void> {
  if (input.previousJobId === undefined) return;
  if (turnOf(await context.previous(input.previousJobId)) !== null) return;
  throw invalidField("/input/previousJobId", "must name an own, succeeded job of type chat or voice");
}

/**
 * The whole conversation, oldest first: the messages and answers of the jobs that `previousJobId` leads back to, then
 * the new messages. At most HISTORY_JOBS jobs and HISTORY_CHARS characters (UTF-16 units) of history; jobs beyond that
 * are left out whole, and so are those deleted meanwhile. Rejects with JobError `previous_job_gone` when that is the
 * very job the input names.
 */
export async function conversation(
  input: { readonly messages: readonly ChatMessage[]; readonly previousJobId?: string | undefined },
  previous: (jobId: string) => Promise<PreviousJob | null>,
): Promise<ChatMessage[]> {
  const newestFirst: ChatMessage[][] = [];
  let chars = 0;
  let jobId = input.previousJobId;
  while (jobId !== undefined && newestFirst.length < HISTORY_JOBS) {
    const turn = turnOf(await previous(jobId));
    if (turn === null && jobId !== input.previousJobId) break;
    if (turn === null) throw previousJobGone();
    const messages: ChatMessage[] = [
      ...turn.input.messages,
      { role: "assistant", content: turn.result.text },
    ];
    for (const message of messages) chars += message.content.length;
    if (chars > HISTORY_CHARS) break;
    newestFirst.push(messages);
    jobId = turn.input.previousJobId;
  }
  return [...newestFirst.toReversed().flat(), ...input.messages];
}

function previousJobGone(): JobError {
  return new JobError("previous_job_gone", "The job that previousJobId names is gone.", {
    retryable: false,
    origin: "input",
  });
}

/** The handler of type `chat`, writing with `engine`. */
export function createChatHandler(engine: ChatEngine): Handler<ChatInput> {
  return defineHandler<ChatInput>({
    type: "chat",
    input: chatInputSchema,
    output: ["text"],
    ...(engine.upstream ? { firstOutputMs: FIRST_OUTPUT_MS, idleMs: IDLE_MS } : {}),
    check: checkConversation,
    async run(job, { messages, previousJobId, ...options }) {
      const whole = await conversation({ messages, previousJobId }, (jobId) => job.previous(jobId));
      const writes = createWriteWindow(WRITES_IN_FLIGHT);
      let text = "";
      const outcome = await engine.generate(
        { ...options, messages: whole, signal: job.signal, traceparent: job.traceparent },
        (delta) => {
          text += delta;
          return writes.add(job.text(delta));
        },
      );
      await writes.drain();
      return { text, ...outcome };
    },
  });
}
