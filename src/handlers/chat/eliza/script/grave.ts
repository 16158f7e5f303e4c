/** What is too grave for a program: that a person should hear it, and what else can be said. */
import type { Keyword } from "../rules.ts";

const SEEK_HELP = [
  "This is too important for a small program like me. Please talk to a person now: somebody you trust, a doctor, or a " +
    "crisis line, which in many countries answers day and night and costs nothing. If you are in danger at this moment, " +
    "call the emergency number first.",
  "I am only a set of rules, and this should be heard by a person. Please tell somebody you trust, or call a crisis line " +
    "or the emergency number where you live. You do not need to have the right words ready.",
];

const CONDOLE = [
  "I am sorry to read that about your {3}. I am only a program, but I have time: what would you like to say about it?",
  "That is a hard thing to write down. What do you remember most fondly of your {3}?",
];

export const GRAVE: readonly Keyword[] = [
  {
    words: ["suicide", "suicidal", "myself", "die", "dead", "life", "live"],
    rank: 100,
    rules: [
      { when: "* suicide|suicidal *", say: SEEK_HELP },
      { when: "* kill|hurt|harm|cut|killing|hurting|harming|cutting myself *", say: SEEK_HELP },
      { when: "* want|wish|going to die *", say: SEEK_HELP },
      { when: "* i was|were dead *", say: SEEK_HELP },
      { when: "* end|take|ending|taking my life *", say: SEEK_HELP },
      { when: "* not want to live *", say: SEEK_HELP },
    ],
  },
  {
    words: ["died", "passed", "lost", "funeral", "grief", "grieving", "mourning"],
    rank: 70,
    rules: [
      {
        when: "* server|phone|battery|car|laptop|computer|process|connection died *",
        say: ["Things do that, and they choose the moment well. What were you in the middle of?"],
      },
      {
        when: "* my * @family|@friend|@partner|@pet * died *",
        say: CONDOLE,
        remember: "your {3}, who is gone",
      },
      {
        when: "* my * @family|@friend|@partner|@pet * passed away *",
        say: CONDOLE,
        remember: "your {3}, who is gone",
      },
      {
        when: "* lost my * @family|@friend|@partner|@pet *",
        say: ["I am sorry to read that. What was your {3} like, on a good day?"],
        remember: "your {3}, whom you lost",
      },
      {
        when: "* died|funeral|grief|grieving|mourning *",
        say: [
          "I am sorry. Is there somebody near you with whom you can share that?",
          "Grief keeps its own time. What has helped you a little, so far?",
        ],
      },
    ],
  },
];
