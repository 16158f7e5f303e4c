/** What people do when nothing has to be done. */
import type { Keyword } from "../rules.ts";

export const LEISURE: readonly Keyword[] = [
  {
    words: [
      "food",
      "eat",
      "eating",
      "hungry",
      "cook",
      "cooking",
      "dinner",
      "lunch",
      "breakfast",
      "coffee",
      "tea",
      "pizza",
      "cake",
    ],
    rank: 12,
    rules: [
      {
        when: "*",
        say: [
          "I live on electricity, so describe it to me. What makes a meal a good one?",
          "Who taught you what tastes good? And would they like what you ate today?",
          "Is there a dish that takes you back somewhere with the first bite? Tell me where.",
        ],
      },
    ],
  },
  {
    words: ["music", "guitar", "piano", "band", "concert", "album", "singing"],
    rank: 13,
    rules: [
      {
        when: "* music|guitar|piano|band|concert|album|singing *",
        say: [
          "Which piece could you hear again and again? And where did you hear it first?",
          "Music reaches people in a way that rules do not. What does it do for you?",
        ],
      },
    ],
  },
  {
    words: ["book", "books", "film", "films", "movie", "movies", "novel", "reading", "series"],
    rank: 13,
    rules: [
      {
        when: "*",
        say: [
          "Tell me the plot in two sentences. Who in it would you like to be?",
          "Was there one that changed your mind about something? I would like to know about what.",
        ],
      },
    ],
  },
  {
    words: [
      "game",
      "games",
      "gaming",
      "play",
      "playing",
      "chess",
      "football",
      "soccer",
      "tennis",
      "running",
      "sport",
      "sports",
      "gym",
    ],
    rank: 12,
    rules: [
      {
        when: "* let us play *",
        say: ["I know one game only, and it is this: you write a sentence, and I turn it around. Your move."],
      },
      {
        when: "*",
        say: [
          "Do you do it to win, or to forget the time? What was your best moment with it?",
          "Alone, or together with others? It makes two different things of it.",
        ],
      },
    ],
  },
  {
    words: [
      "travel",
      "travelling",
      "traveling",
      "holiday",
      "holidays",
      "vacation",
      "trip",
      "journey",
      "flight",
    ],
    rank: 13,
    rules: [
      {
        when: "*",
        say: [
          "Where would you go tomorrow, if the ticket were paid? And whom would you take along?",
          "What did you bring home from your last journey, apart from pictures? An idea counts as well.",
        ],
      },
    ],
  },
  {
    words: [
      "weather",
      "rain",
      "raining",
      "sunny",
      "snow",
      "snowing",
      "storm",
      "winter",
      "summer",
      "spring",
      "autumn",
    ],
    rank: 12,
    rules: [
      {
        when: "*",
        say: [
          "There is no window in here, so you will have to describe it. Does it change your mood?",
          "I have no weather, only uptime. What do you like to do on such a day?",
        ],
      },
    ],
  },
  {
    words: ["birthday", "christmas", "party", "anniversary", "weekend"],
    rank: 12,
    rules: [
      {
        when: "* birthday *",
        say: [
          "If it is yours, I wish you a happy one. What should the new year bring that the old one did not?",
        ],
      },
      { when: "*", say: ["Who will be there, or who was? And what would make it a good day for you?"] },
    ],
  },
];
