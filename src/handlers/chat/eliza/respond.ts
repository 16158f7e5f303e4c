/**
 * Answers a conversation by its script. Everything that seems to be remembered (whose turn a reply is, what was said
 * earlier) is found again by going through the user's messages from the start, so the same conversation always gets
 * the same answer: after a restart, on another node, or as a second attempt.
 */
import type { ChatMessage } from "../engine.ts";
import type { CompiledRule, CompiledScript, Script } from "./rules.ts";
import { clausesOf, reflect, type Clause, type Word } from "./words.ts";

/** Characters of one message that are read, its last ones. */
const READ_CHARS = 2000;
/** Messages of the user that are gone through, the last ones. */
const READ_MESSAGES = 200;
/** Words of the user's that are handed back at most. */
const ECHO_WORDS = 12;
const MEMORIES = 20;

/** Words that begin a clause of their own: a template has no use for what follows. */
const JOINTS = new Set("because although though since whereas unless".split(" "));

/** Words that cannot end what is handed back, once it was shortened. */
const DANGLING = new Set(
  "and or but because that which who when while if of to the a an in on at for with from my your is are was i".split(
    " ",
  ),
);

interface Progress {
  /** How often each list of replies was used. */
  readonly turns: Map<readonly string[], number>;
  readonly memories: string[];
  /** Messages that no rule matched. */
  misses: number;
  /** The message before, as words. */
  before: string;
}

function nextOf(progress: Progress, replies: readonly string[]): string {
  const turn = progress.turns.get(replies) ?? 0;
  progress.turns.set(replies, turn + 1);
  return replies[turn % replies.length] ?? "";
}

/** At most ECHO_WORDS of what was captured, without the clause that hangs on it and not cut inside a phrase. */
function shortened(words: readonly Word[]): readonly Word[] {
  const joint = words.findIndex((word, index) => index > 0 && JOINTS.has(word.lower));
  if (words.length <= ECHO_WORDS && joint < 0) return words;
  let end = Math.min(joint < 0 ? words.length : joint, ECHO_WORDS);
  while (end > 1 && DANGLING.has(words[end - 1]?.lower ?? "")) end -= 1;
  return words.slice(0, end);
}

function fill(template: string, values: readonly string[]): string {
  return template.replaceAll(/\{(\d)(\^?)\}/g, (_, number: string, capital: string) => {
    const value = values[Number(number) - 1] ?? "";
    return capital === "" ? value : value.charAt(0).toUpperCase() + value.slice(1);
  });
}

interface Found {
  readonly rule: CompiledRule;
  readonly captures: readonly (readonly Word[])[];
}

/** The best rule of all clauses; of one rank the last clause, which is what the user ended on. */
function bestOf(script: CompiledScript, clauses: readonly Clause[]): Found | null {
  let best: Found | null = null;
  for (const clause of clauses) {
    const found = script.find(clause);
    if (found !== null && (best === null || found.rule.rank >= best.rule.rank)) best = found;
  }
  return best;
}

/** Nothing matched: every other time something is brought back that was said earlier, oldest first. */
function withoutRule(script: Script, progress: Progress): string {
  progress.misses += 1;
  const memory = progress.misses % 2 === 1 ? progress.memories.shift() : undefined;
  return memory === undefined
    ? nextOf(progress, script.nothing)
    : fill(nextOf(progress, script.recall), [memory]);
}

function answer(compiled: CompiledScript, progress: Progress, message: string): string {
  const { script } = compiled;
  const clauses = clausesOf(message.slice(-READ_CHARS));
  if (clauses.length === 0) return nextOf(progress, script.wordless);

  const said = clauses.map((clause) => clause.map((word) => word.lower).join(" ")).join(", ");
  const repeated = said === progress.before && said.includes(" ");
  progress.before = said;
  if (repeated) return nextOf(progress, script.repeated);

  const best = bestOf(compiled, clauses);
  if (best === null) return withoutRule(script, progress);
  const { rule } = best.rule;
  const values = best.captures.map((words) => reflect(shortened(words)));
  if (rule.remember !== undefined && progress.memories.length < MEMORIES)
    progress.memories.push(fill(rule.remember, values));
  return fill(nextOf(progress, rule.say), values);
}

/** The answer to the last of the user's messages; the same for the same conversation, always. */
export function respond(script: CompiledScript, messages: readonly ChatMessage[]): string {
  const progress: Progress = { turns: new Map(), memories: [], misses: 0, before: "" };
  let reply = "";
  for (const message of messages.filter(({ role }) => role === "user").slice(-READ_MESSAGES)) {
    reply = answer(script, progress, message.content);
  }
  return reply;
}
