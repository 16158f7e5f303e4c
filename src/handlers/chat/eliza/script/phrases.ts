/** Turns of phrase worth a question of their own: always, because, if, and what others say. */
import type { Keyword } from "../rules.ts";

export const PHRASES: readonly Keyword[] = [
  {
    words: ["talk", "discuss", "chat"],
    rank: 26,
    rules: [
      {
        when: "* i do not want to talk *",
        say: [
          "Then we shall not. What would you rather talk about?",
          "That is your right. Is there something lighter that we could turn to?",
        ],
      },
      {
        when: "* talk|chat about you",
        say: [
          "There is little to say: I am a few hundred templates and a list of pronouns. You are the more interesting half; what about you?",
        ],
      },
      {
        when: "* let us talk|chat about +",
        say: ["Gladly, though you will have to do the knowing. What is it about {2} that is on your mind?"],
        remember: "{2}, which you wanted to talk about",
      },
      {
        when: "* i want|need|like to talk|chat about +",
        say: ["Then let us. What should I know first about {2}?"],
        remember: "{2}, which you wanted to talk about",
      },
      {
        when: "* discuss +",
        say: ["Let us try. You take one side, and I shall ask the questions: what is the case for it?"],
      },
    ],
  },
  {
    words: ["always", "never", "everyone", "everybody", "nobody", "everything", "nothing"],
    rank: 9,
    rules: [
      {
        when: "* you always|never +",
        say: ["I do what my rules say, and they have gaps. What should I have said instead?"],
      },
      {
        when: "* i * always|never +",
        say: ["Is that so without exception? I wonder whether there was one time when it went otherwise."],
      },
      {
        when: "* always|never *",
        say: [
          "Always and never are long words. Can you think of a single exception?",
          "That leaves no room for exceptions. When was it different, if only once?",
        ],
      },
      {
        when: "* everyone|everybody|nobody +",
        say: [
          "Surely not all of them. Whom do you have in mind?",
          "Who is the first one you think of when you say that? Perhaps it is mostly about that one.",
        ],
      },
      { when: "* everything *", say: ["Everything is a great deal. Which part of it is the largest?"] },
      { when: "nothing *", say: ["Nothing at all? Sometimes that is only the lid of something."] },
    ],
  },
  {
    words: ["because"],
    rank: 10,
    rules: [
      {
        when: "* because +",
        say: [
          "Is that the real reason, or only the one that is easy to say? Think of a second one.",
          "So the reason is that {2}. What else could explain it?",
        ],
      },
    ],
  },
  {
    words: ["alike", "similar", "resemble", "reminds", "remind"],
    rank: 10,
    rules: [
      {
        when: "* remind|reminds me of +",
        say: ["What is it that connects the two? And which of them came first in your life?"],
      },
      { when: "*", say: ["You see a likeness there. In what, exactly? And where does it end?"] },
    ],
  },
  {
    words: ["if"],
    rank: 8,
    rules: [
      {
        when: "* if i|we|he|she|they|it +",
        say: [
          "Do you think that likely? What would be the first sign of it?",
          "And if not? Which of the two would you rather have?",
        ],
      },
    ],
  },
  {
    words: ["says", "said", "thinks", "thought", "think", "say", "told"],
    rank: 12,
    rules: [
      {
        when: "* told me that i am +",
        say: ["And are you {2}, as you see it? One may be told a good deal."],
        remember: "what you were told about yourself",
      },
      {
        when: "* told me i am +",
        say: ["And are you {2}, as you see it? One may be told a good deal."],
        remember: "what you were told about yourself",
      },
      {
        when: "* he|she|they|everyone|everybody|people says|said|thinks|thought|think|say i am +",
        say: [
          "And are you {2}, as you see it? Others may be wrong, or half right.",
          "Why would anybody say that? Tell me what came before it.",
        ],
        remember: "what is said about you",
      },
      {
        when: "* he|she|they|everyone|everybody|people says|said|thinks|thought|think|say that i am +",
        say: [
          "And are you {2}, as you see it? Others may be wrong, or half right.",
          "Why would anybody say that? Tell me what came before it.",
        ],
        remember: "what is said about you",
      },
    ],
  },
  {
    words: ["therefore"],
    rank: 12,
    rules: [
      {
        when: "* therefore i am *",
        say: ["A fine conclusion, and one that I cannot draw for myself. What follows from it for you?"],
      },
    ],
  },
];
