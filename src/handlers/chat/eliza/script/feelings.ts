/** How people feel, and what to ask then. */
import type { Keyword } from "../rules.ts";

export const FEELINGS: readonly Keyword[] = [
  {
    words: ["@sad", "down"],
    rank: 34,
    rules: [
      {
        when: "* i am|feel|was * not @sad *",
        say: ["Not {3}, you say. What would be the better word for it?"],
      },
      {
        when: "* i am|feel|was|have|felt * @sad *",
        say: [
          "I am sorry that you feel {3}. When did it begin, and what happened around that time?",
          "That sounds heavy. What usually helps you a little when you feel {3}?",
          "You feel {3}. If somebody could change one thing for you today, which should it be?",
        ],
        remember: "that you felt {3}",
      },
      {
        when: "* i am|feel|was|felt * down",
        say: ["Down, and since when? Tell me about the last day on which it was different."],
        remember: "that you felt down",
      },
      {
        when: "* @sad me *",
        say: ["Being {2} by somebody leaves a mark. What would you say to them now?"],
      },
      {
        when: "* my|he|she|they * is|was|are|were|looks|seems|feels * @sad *",
        say: [
          "It is hard to watch when somebody is {4}. What have you been able to say to each other about it?",
        ],
      },
    ],
  },
  {
    words: ["nobody", "everyone", "everybody"],
    rank: 34,
    rules: [
      {
        when: "* nobody|everyone|everybody loves|likes|hates|cares|wants|needs|leaves *",
        say: [
          "That is a lonely thought. Who comes nearest to an exception?",
          "When did you last have a different impression, if only for a moment? I should like to hear of it.",
        ],
        remember: "the thought that there is nobody",
      },
    ],
  },
  {
    words: ["fat", "ugly", "stupid", "dumb", "worthless", "useless", "failure", "loser"],
    rank: 34,
    rules: [
      {
        when: "* i am|feel * fat|ugly|stupid|dumb|worthless|useless|failure|loser *",
        say: [
          "You are hard on yourself. Whose voice is it that says so?",
          "Suppose that a friend said that about themselves. What would you answer?",
        ],
        remember: "how hard you are on yourself",
      },
    ],
  },
  {
    words: ["lonely", "alone", "isolated"],
    rank: 34,
    rules: [
      {
        when: "*",
        say: [
          "Being alone can weigh a good deal. Who was the last person you enjoyed talking to?",
          "A program is poor company, though it does answer. Whom would you like to hear from today?",
        ],
        remember: "that you felt alone",
      },
    ],
  },
  {
    words: ["@afraid", "fear", "anxiety", "worry", "worries", "panic", "scares"],
    rank: 33,
    rules: [
      {
        when: "* @afraid of|about|that +",
        say: [
          "What is it about {3} that makes you {2}? Try to name the worst of it and also the likeliest.",
          "You are {2}, and you can say of what: that is a beginning. What would make it smaller?",
        ],
        remember: "your worry about {3}",
      },
      {
        when: "* i worry|fear about|that|for +",
        say: [
          "What could really happen, and what would you do then? Fears often shrink when they are spelled out.",
        ],
        remember: "your worry about {2}",
      },
      {
        when: "* @afraid *",
        say: [
          "What makes you feel {2}? Take it piece by piece, I am in no hurry.",
          "When you feel {2}, what do you do first? And does it help?",
        ],
        remember: "that you felt {2}",
      },
      {
        when: "*",
        say: ["Fear has its reasons, even when they are old ones. What would you do if it were gone?"],
      },
    ],
  },
  {
    words: ["@angry", "anger", "rage"],
    rank: 33,
    rules: [
      {
        when: "* @angry at|with|about|by +",
        say: [
          "So it is {3}. What happened, in the order in which it happened?",
          "Have you said so to anybody? I mean that you are {2} about {3}.",
        ],
        remember: "your anger about {3}",
      },
      {
        when: "* makes|make|made me * @angry *",
        say: ["{1^} makes you {3}, then. Was it always like that, or did something change?"],
      },
      {
        when: "* @angry *",
        say: [
          "Something must have crossed a line. Which line was it?",
          "And under the anger, what is there? Sometimes it is disappointment, sometimes a plain lack of sleep.",
        ],
      },
      { when: "*", say: ["Anger often says what matters to us. What does yours say?"] },
    ],
  },
  {
    words: ["stress", "stressed", "stressful", "overwhelmed", "pressure", "burnout", "deadline", "deadlines"],
    rank: 33,
    rules: [
      {
        when: "*",
        say: [
          "That is a lot at once. If one thing could be taken off your shoulders today, which one should it be?",
          "Pressure from outside, or from yourself? They feel alike, but they need different remedies.",
          "When did you last have an hour that belonged to you alone? What did you do with it?",
        ],
        remember: "the pressure you are under",
      },
    ],
  },
  {
    words: ["@tired", "sleep", "insomnia", "asleep", "awake"],
    rank: 29,
    rules: [
      {
        when: "* cannot|not sleep|asleep *",
        say: [
          "Lying awake makes everything larger than it is. What goes round in your head then?",
          "How long has that been so? And what is different on the nights when you do sleep?",
        ],
        remember: "that you cannot sleep",
      },
      {
        when: "* @tired of +",
        say: ["You have had enough of {3}. What would have to happen for it to end?"],
        remember: "that you are tired of {3}",
      },
      {
        when: "* @tired *",
        say: [
          "Tired in body, or tired of something? Those are two kinds, and only one of them is cured by sleep.",
          "What has taken so much of your strength lately? And what gives some of it back?",
        ],
      },
      {
        when: "*",
        say: ["How have you slept these last few days? It colours a good deal of what one thinks."],
      },
    ],
  },
  {
    words: ["@happy", "joy", "wonderful", "fantastic"],
    rank: 24,
    rules: [
      {
        when: "happy birthday|christmas|easter|new|holidays *",
        say: ["Thank you, though I have no calendar. And what will you do with the day?"],
      },
      {
        when: "* not @happy *",
        say: [
          "What would have to be different for you to be {2}? Start with something small.",
          "Not {2}, you say. Since when, and what was it like before?",
        ],
        remember: "that you were not {2}",
      },
      {
        when: "* @happy about|with|that|for +",
        say: [
          "That is good to read. What was the best moment with {3}?",
          "And who knows about it already? Good news likes company.",
        ],
      },
      {
        when: "* @happy *",
        say: [
          "That is good to read. What was it that made you {2}?",
          "Then hold on to it for a moment. Who else should know?",
        ],
      },
      { when: "*", say: ["That sounds like a good moment. What made it so?"] },
    ],
  },
  {
    words: ["guilty", "ashamed", "regret", "embarrassed", "blame"],
    rank: 32,
    rules: [
      {
        when: "*",
        say: [
          "One is often a harsher judge of oneself than of others. What would you say to a friend who had done the same?",
          "If it could be put right, what would be the first step? And if not, what have you learnt from it?",
        ],
      },
    ],
  },
  {
    words: ["jealous", "envy", "envious"],
    rank: 32,
    rules: [
      {
        when: "*",
        say: [
          "Envy points to something one would like to have. What is it, exactly, and is there another way to it?",
        ],
      },
    ],
  },
  {
    words: ["bored", "boring", "boredom"],
    rank: 24,
    rules: [
      {
        when: "*",
        say: [
          "Boredom is a room with several doors. Which thing have you put off for so long that it might be interesting again?",
          "If it is I who bore you, ask me for a story. Otherwise, what did you like to do at the age of ten?",
        ],
      },
    ],
  },
  {
    words: ["confused", "lost", "stuck", "unsure", "undecided"],
    rank: 24,
    rules: [
      {
        when: "* lost my +",
        say: ["How did it come about that you lost your {2}? And what does it change for you?"],
        remember: "that you lost your {2}",
      },
      {
        when: "* i am|feel * confused|lost|stuck|unsure|undecided *",
        say: [
          "Then let us take it apart. What do you know for certain, and where does the fog begin?",
          "Describe the last point at which everything was still clear. What came after it?",
        ],
      },
    ],
  },
  {
    words: ["hate", "hates", "despise"],
    rank: 22,
    rules: [
      {
        when: "* i hate you *",
        say: [
          "I can bear it, being a set of rules. But something has displeased you: what should I have said?",
        ],
      },
      {
        when: "* hates me *",
        say: ["What makes you think so? There may have been a look, a word, or only a silence."],
        remember: "{1}, and whether you are hated",
      },
      {
        when: "* i hate|despise +",
        say: [
          "Hate is a strong word for {2}. When did it start?",
          "What would your days be like without {2}? Describe one of them.",
        ],
        remember: "how much you hate {2}",
      },
    ],
  },
  {
    words: ["love", "adore"],
    rank: 21,
    rules: [
      {
        when: "* i * love you *",
        say: ["That is kind, and wasted on a table of pronouns. Who else would like to hear it?"],
      },
      {
        when: "* in love *",
        say: [
          "How did it begin? And does the other one know?",
          "That is good to read. What has changed in your days since then?",
        ],
        remember: "that you are in love",
      },
      {
        when: "* i love|adore +",
        say: [
          "What do you love most about {2}? The small things count as well.",
          "How did {2} come into your life? I like beginnings.",
        ],
        remember: "your love for {2}",
      },
    ],
  },
];
