/** What the built-in engine says: its groups of words, its keywords by topic, and what it says when none is found. */
import type { Script } from "./rules.ts";
import { ABOUT } from "./script/about.ts";
import { EVERYDAY } from "./script/everyday.ts";
import { FEELINGS } from "./script/feelings.ts";
import { GRAVE } from "./script/grave.ts";
import { HOLDLINE } from "./script/holdline.ts";
import { LEISURE } from "./script/leisure.ts";
import { PEOPLE } from "./script/people.ts";
import { PHRASES } from "./script/phrases.ts";
import { QUESTIONS } from "./script/questions.ts";
import { REQUESTS } from "./script/requests.ts";
import { SENTENCES } from "./script/sentences.ts";
import { TALK } from "./script/talk.ts";

const words = (text: string): readonly string[] => text.split(" ");

export const SCRIPT: Script = {
  groups: {
    article: words("a an the"),
    family: words(
      "mother father mom mum mommy dad daddy parents sister sisters brother brothers son sons daughter daughters " +
        "grandmother grandfather grandma grandpa aunt uncle cousin family",
    ),
    partner: words("wife husband girlfriend boyfriend partner fiance fiancee spouse ex"),
    friend: words("friend friends buddy roommate neighbour neighbor colleague colleagues"),
    pet: words("dog cat puppy kitten horse hamster rabbit pet parrot"),
    sad: words(
      "sad unhappy depressed miserable heartbroken gloomy melancholy hopeless hurt upset disappointed",
    ),
    afraid: words("afraid scared anxious nervous worried frightened terrified insecure panicking"),
    angry: words("angry furious mad annoyed irritated frustrated outraged"),
    tired: words("tired exhausted sleepy weary drained overworked burnt"),
    happy: words("happy glad cheerful delighted excited pleased proud thrilled grateful relieved"),
    machine: words(
      "robot bot chatbot human person man woman machine ai program computer software alive real conscious sentient " +
        "intelligent smart stupid",
    ),
  },
  keywords: [
    ...ABOUT,
    ...HOLDLINE,
    ...REQUESTS,
    ...QUESTIONS,
    ...GRAVE,
    ...FEELINGS,
    ...PEOPLE,
    ...EVERYDAY,
    ...LEISURE,
    ...PHRASES,
    ...SENTENCES,
    ...TALK,
  ],
  recall: [
    "Let us go back to something you said earlier: {1}. Is that still on your mind?",
    "I have no rule for that, so I looked at what came before. You mentioned this: {1}. How do things stand with it now?",
    "Before we lose it, there was one more thing: {1}. What would you like to say about that?",
    "One thing stayed open: {1}. Does it have anything to do with what you just wrote?",
  ],
  nothing: [
    "I did not find a word there that I have a rule for. Could you put it another way, or say a little more?",
    "That goes past my few rules. What matters most to you about it?",
    "I can follow the words, though not yet the point. Can you give me an example?",
    "Let me ask the plain question, then. Why does this come to your mind just now?",
    "Go on, I am listening as well as a set of rules can. What happened before that?",
    "I would like to hear more of that. Is it good news or bad news?",
    "That is new to me. Tell me who else is part of it.",
  ],
  repeated: [
    "You said that a moment ago, in the same words. Is there something in my last answer that missed the point?",
    "The very same sentence again. What would you have liked me to say to it?",
    "I notice that you repeat yourself. Suppose I had understood: what would come next?",
  ],
  wordless: [
    "I can only read words, and I found none there. What would you like to talk about?",
    "No words in that, as far as I can see. Try me with a sentence in English.",
  ],
};
