/** The people (and animals) somebody talks about. */
import type { Keyword } from "../rules.ts";

export const PEOPLE: readonly Keyword[] = [
  {
    words: ["broke", "split", "left", "breakup", "dumped"],
    rank: 35,
    rules: [
      {
        when: "* broke|split up *",
        say: [
          "An ending like that takes its time. Did it come as a surprise, or had you seen it coming?",
          "What do you miss, and what do you not miss at all? Both lists are worth writing down.",
        ],
        remember: "the one you parted from",
      },
      {
        when: "* left|dumped me *",
        say: [
          "Being left turns a good many things around. What has changed most in your days since then?",
          "Suppose there were one more conversation. What would you still like to say?",
        ],
        remember: "the one who left you",
      },
      {
        when: "* breakup *",
        say: ["Who was it that ended it, if one can say so? And how do you see it today?"],
        remember: "the one you parted from",
      },
    ],
  },
  {
    words: ["@family"],
    rank: 18,
    rules: [
      {
        when: "* my * @family|@partner|@friend and i *",
        say: [
          "You and your {3}: how long have you known each other like that? What do you share, and what do you keep apart?",
        ],
        remember: "you and your {3}",
      },
      {
        when: "* my * @family +",
        say: [
          "Your {3} {4}: how do you feel about that? And what would your {3} say, if I could ask?",
          "Tell me more about your {3}. What comes to your mind first?",
          "Think of your {3} for a moment. Is there one day that stands for all the others?",
        ],
        remember: "your {3} {4}",
      },
      {
        when: "* my * @family",
        say: [
          "Your {3} matters to you, I take it. What would you like me to know?",
          "Tell me about your {3}. What were things like when you were ten?",
          "What have you never told your {3}? You need not tell me either, only know it.",
        ],
        remember: "your {3}",
      },
      {
        when: "* @family *",
        say: [
          "You bring up family. Who is the one you can talk to most easily?",
          "Families have their own rules, and nobody wrote them down. Which one do you know best?",
        ],
      },
    ],
  },
  {
    words: ["@partner", "marriage", "married", "wedding", "divorce", "divorced", "relationship", "dating"],
    rank: 19,
    rules: [
      {
        when: "* my * @partner +",
        say: [
          "Your {3} {4}, you say. When did you first notice, and have you talked about it?",
          "There is another side to it, I suppose. What would your {3} say, if I asked?",
        ],
        remember: "your {3} {4}",
      },
      {
        when: "* my * @partner",
        say: [
          "How did you and your {3} meet? And what is it like between you now?",
          "What do you wish your {3} understood? Try to say it in one sentence.",
        ],
        remember: "your {3}",
      },
      {
        when: "* divorce|divorced *",
        say: ["A separation ends one thing and begins another. Where between the two are you just now?"],
        remember: "the divorce",
      },
      {
        when: "* marriage|married|wedding|relationship|dating *",
        say: [
          "Two people, and so at least two stories. What is yours?",
          "Every pair begins with a picture of what it will be. What was yours, and what came instead?",
        ],
        remember: "what you said about the two of you",
      },
    ],
  },
  {
    words: ["@friend"],
    rank: 17,
    rules: [
      {
        when: "* my * @friend +",
        say: [
          "Your {3} {4}. How did you answer, or what would you like to answer?",
          "How long have you two known each other? And was it always so?",
        ],
        remember: "your {3} {4}",
      },
      {
        when: "* no|any friend|friends *",
        say: ["It can be hard to find people. Where were you the last time you got on well with somebody?"],
      },
      { when: "* @friend *", say: ["What makes somebody a friend, for you? And who comes closest to that?"] },
    ],
  },
  {
    words: ["baby", "pregnant", "child", "children", "kid", "kids", "toddler"],
    rank: 18,
    rules: [
      {
        when: "* pregnant *",
        say: ["That changes a good deal. Was it expected, and who knows already?"],
        remember: "the child that is on its way",
      },
      {
        when: "*",
        say: [
          "Children ask better questions than I do. Which one did you hear last that you could not answer?",
          "What were you like yourself at that age? Somebody must have told you.",
        ],
      },
    ],
  },
  {
    words: ["@pet", "animal", "animals", "cats", "dogs", "birds", "fish"],
    rank: 15,
    rules: [
      {
        when: "* my * @pet *",
        say: [
          "I have never met one, of course. What is your {3} called, and who chose the name?",
          "What does your {3} know about you that people do not? Those who say nothing see a good deal.",
        ],
        remember: "your {3}",
      },
      { when: "*", say: ["Animals listen better than most of us. Is there one in your life?"] },
    ],
  },
];
