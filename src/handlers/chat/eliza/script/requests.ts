/** Things people ask a chat window for: what a set of rules can do it does, for the rest it says who could. */
import type { Keyword } from "../rules.ts";

/** Who could, where rules cannot: begins a sentence. */
export const ASK_A_MODEL = "A language model connected through HOLDLINE_CHAT_URL could";

export const REQUESTS: readonly Keyword[] = [
  {
    words: ["help", "do", "commands", "menu"],
    rank: 52,
    rules: [
      {
        when: "* what can|could|do you do *",
        say: [
          "I can keep a conversation going in English, and tell a joke, a poem or a story. Tell me about your work, your " +
            "family or a dream, and see what comes back. And reload the page while I write: that is what Holdline is about.",
          "I ask back, mostly. If you would rather listen, ask me for a story; it is long enough to pull out the network " +
            "cable in the middle.",
        ],
      },
      {
        when: "help",
        say: [
          "Write to me as you would to a patient stranger: a sentence about your day will do. You can also ask for a joke, " +
            "a poem or a story, or ask what Holdline is.",
        ],
      },
      {
        when: "* i need|want * help *",
        say: ["What sort of help would it be? Begin with what happened, and with what you have tried."],
        remember: "that you needed help",
      },
      {
        when: "* can|could|will|would you help * me *",
        say: [
          "I can listen and ask questions, which sometimes helps. What is it about?",
          "As far as a set of rules goes, yes. Describe the problem as you would to somebody who knows nothing about it.",
        ],
      },
      {
        when: "* commands|menu *",
        say: [
          "There are no commands here, only sentences. Ask for a joke, a poem or a story, or tell me how you are.",
        ],
      },
    ],
  },
  {
    words: ["joke", "jokes", "funny"],
    rank: 52,
    rules: [
      {
        when: "* your|that|this joke|jokes *",
        say: ["I did warn you, in a way: my jokes are as old as my method. What made you laugh last?"],
      },
      {
        when: "* joke|jokes *",
        say: [
          "A client asks a server, are you still there? The server is silent for a minute, and then replies: I was just " +
            "about to ask you.",
          "Two programs sit in a bar. The first one asks for a connection, and the second one says: we have met before, " +
            "you left without saying goodbye.",
          "My doctor told me to drop everything. I had to explain that I am a reliable message queue.",
          "How many therapists does it take to change a light bulb? How do you feel about the dark?",
        ],
      },
      {
        when: "* tell|say * something funny *",
        say: ["A set of rules was asked to be funny. It looked for the keyword, found it, and told you so."],
      },
    ],
  },
  {
    words: ["poem", "poetry", "rhyme", "haiku", "song", "sing", "verse"],
    rank: 51,
    rules: [
      {
        when: "* your poem|song|haiku|rhyme|verse *",
        say: [
          "Thank you for listening to it. I know two poems and a very short one; what do you know by heart?",
        ],
      },
      {
        when: "* haiku *",
        say: ["The line falls silent.\nEvery word is waiting there,\nnumbered, in the dark."],
      },
      {
        when: "*",
        say: [
          "I have this one by heart:\nThe wire went dead at half past four,\nthe words stood waiting at the door;\nat " +
            "five the light came back again,\nand each went in, from one to ten.",
          "Here is the other one I know:\nI have no heart, I have no head,\nI only turn what you have said;\nbut send " +
            "me something, line by line,\nand half the poem will be thine.",
        ],
      },
    ],
  },
  {
    words: ["story", "tale", "stories"],
    rank: 51,
    rules: [
      {
        when: "* your|my|long|same|that story|stories|tale *",
        say: ["Stories are what one can turn over again and again. What would you have told differently?"],
      },
      {
        when: "*",
        say: [
          "Once there was a messenger who carried a letter of a hundred words across the mountains. She never kept the " +
            "letter in her bag: she wrote each word into the book of an inn before she spoke it aloud, and the next inn " +
            "knew where the last had stopped. One night the bridge fell, and the messenger with it. In the morning another " +
            "one opened the book, read up to the last word, and went on from there. The king, who had listened all night " +
            "long, noticed only that somebody had taken a breath. That is all of it, and it is also how this text reached you.",
          "A lighthouse keeper wrote down every ship that passed, the small ones too. People laughed, for who would read " +
            "it? Then came a fog that lasted a week, and forty captains stood at the door and asked which ship had been " +
            "seen last, and where. The keeper opened the book and sent them home one by one. Nobody laughed after that, " +
            "and the book is still there.",
        ],
      },
    ],
  },
  {
    words: ["count"],
    rank: 51,
    rules: [
      {
        when: "* count *",
        say: [
          "One, two, three, four, five, six, seven, eight, nine, ten. Was one of them missing? It should not have been, even " +
            "if the connection broke on the way.",
        ],
      },
    ],
  },
  {
    words: [
      "write",
      "code",
      "translate",
      "summarize",
      "summarise",
      "draw",
      "generate",
      "compose",
      "fix",
      "solve",
    ],
    rank: 50,
    rules: [
      {
        when: "* you write|code|translate|summarize|summarise|draw|generate|compose|fix|solve *",
        say: [
          `That is beyond my rules, and I would rather say so than try. ${ASK_A_MODEL} do it, and the answer would reach you ` +
            "in just this way.",
        ],
      },
      {
        when: "write|code|translate|summarize|summarise|draw|generate|compose|fix|solve *",
        say: [
          `I cannot do that: I only turn sentences around. ${ASK_A_MODEL}. What do you need it for?`,
          `No rule of mine can do such work. ${ASK_A_MODEL}; until then I can only ask how far you have got with it.`,
        ],
      },
    ],
  },
  {
    words: ["time", "date", "day"],
    rank: 50,
    rules: [
      {
        when: "what * time|date|day is it *",
        say: [
          "I have no clock that I could read to you: I only see what you write. Is there something you are waiting for?",
        ],
      },
      {
        when: "what is * time|date|day *",
        say: ["I have no clock that I could read to you: I only see what you write. Are you in a hurry?"],
      },
    ],
  },
  {
    words: ["weather"],
    rank: 50,
    rules: [
      {
        when: "what|how is|will the weather *",
        say: [
          "There is no window in here, and no forecast either. Look out of yours and tell me: what sort of day is it?",
          "I cannot look that up. What would you do if the sun were out?",
        ],
      },
    ],
  },
  {
    words: ["plus", "minus", "times", "divided", "calculate", "sum", "percent", "sqrt", "equation"],
    rank: 50,
    rules: [
      {
        when: "*",
        say: [
          `Numbers are only words to me, so I cannot work that out. ${ASK_A_MODEL} try; a pocket calculator would be sure.`,
          "I was given rules for sentences, none for sums. What is the number for?",
        ],
      },
    ],
  },
];
