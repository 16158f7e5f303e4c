/** What a day is made of: work and school, money and health, dreams, plans and computers. */
import type { Keyword } from "../rules.ts";

export const EVERYDAY: readonly Keyword[] = [
  {
    words: [
      "job",
      "fired",
      "work",
      "works",
      "working",
      "boss",
      "office",
      "career",
      "manager",
      "company",
      "coworker",
      "coworkers",
    ],
    rank: 16,
    rules: [
      {
        when: "* fired me|him|her|us *",
        say: ["Did they give a reason, and do you believe it? Tell me how they said it."],
        remember: "how you were let go",
      },
      {
        when: "* new job *",
        say: ["A new beginning, then. What made you say yes to it, and what do you still wonder about?"],
        remember: "your new job",
      },
      {
        when: "* quit my job|work *",
        say: ["That takes some courage, or some despair. Which was it?"],
        remember: "that you quit",
      },
      {
        when: "* lost my job *",
        say: ["That takes away more than the money. What did you like about it, and what will you not miss?"],
        remember: "the job you lost",
      },
      {
        when: "* my boss|manager +",
        say: [
          "Your boss {2}: does that happen often? What would you say, if it had no consequences?",
          "What would your boss tell me about it? There is usually a second version.",
        ],
        remember: "your boss, and how you are treated",
      },
      {
        when: "* not|never work|works|working *",
        say: [
          "What did it do when it still worked, or when did it last? And what have you changed since then?",
          "Is it broken, or does it do something other than you expect? The two need different questions.",
        ],
      },
      {
        when: "* i work as +",
        say: ["What does a good day look like when one works as {2}? And a bad one?"],
        remember: "your work as {2}",
      },
      {
        when: "* i work|am working on|at|for|in +",
        say: ["How did you come to that? And which part of it would you do without pay?"],
        remember: "your work",
      },
      {
        when: "* job|work|working|office|career|company|boss|manager|coworker|coworkers *",
        say: [
          "Work takes the best hours of the day. What do yours go into?",
          "Suppose that it all paid the same. What would you rather do?",
          "Who notices when you do your work well? And who would notice if you did not?",
        ],
      },
    ],
  },
  {
    words: [
      "school",
      "exam",
      "exams",
      "test",
      "university",
      "college",
      "teacher",
      "homework",
      "study",
      "studying",
      "class",
    ],
    rank: 16,
    rules: [
      {
        when: "* my exam|exams|test +",
        say: [
          "How did you come out of it, and what did you do in the first hour after? Tell me of that hour.",
        ],
        remember: "your exam",
      },
      {
        when: "* passed|failed|fail *",
        say: ["How did you learn of it, and whom did you tell first? What comes next?"],
        remember: "the examination",
      },
      {
        when: "test|testing *",
        say: [
          "It works: your words came here over HTTP, and mine go back to you one by one. What shall we try next?",
        ],
      },
      {
        when: "* a|the|this test",
        say: ["And so far it is passed: you can read me. What else would you like to try?"],
      },
      {
        when: "* school|exam|exams|university|college|teacher|homework|study|studying|class *",
        say: [
          "Which subject would you choose if nobody asked for marks? And what would you leave out?",
          "Is there a teacher you still think of, for better or for worse? I wonder what stayed.",
        ],
      },
    ],
  },
  {
    words: ["money", "rent", "debt", "debts", "salary", "expensive", "poor", "rich", "afford"],
    rank: 16,
    rules: [
      {
        when: "*",
        say: [
          "Money is seldom only money. What would it give you, if you had enough of it?",
          "Imagine that worry gone. What would you do first?",
        ],
        remember: "the matter of money",
      },
    ],
  },
  {
    words: ["dream", "dreams", "dreamt", "dreamed", "nightmare", "nightmares"],
    rank: 20,
    rules: [
      {
        when: "* dreamt|dreamed|dream|dreaming|nightmare|nightmares of|about|that +",
        say: [
          "Let us look at {2}, then. What did it remind you of when you woke?",
          "Who else was in that dream? And how did you feel in it, apart from what happened?",
        ],
        remember: "your dream about {2}",
      },
      {
        when: "*",
        say: [
          "I do not dream, so tell me how it is. Which picture has stayed with you?",
          "Does that dream come back from time to time? What was going on in your days when it did?",
        ],
      },
    ],
  },
  {
    words: ["doctor", "hospital", "therapist", "dentist"],
    rank: 11,
    rules: [
      {
        when: "* doctor|hospital|therapist|dentist *",
        say: [
          "Was it for yourself, or for somebody else? And what came of it?",
          "How did you feel when you left the place? That often says more than the words.",
        ],
      },
    ],
  },
  {
    words: ["sick", "ill", "pain", "headache", "fever", "cancer", "disease", "flu"],
    rank: 23,
    rules: [
      {
        when: "* i|my|have|am * sick|ill|pain|headache|fever|cancer|disease|flu *",
        say: [
          "I know nothing about medicine, and a doctor should hear this before a program does. How long has it been going on?",
          "I hope that somebody looks after you. What did the last doctor you saw say about it?",
        ],
        remember: "your health",
      },
    ],
  },
  {
    words: ["home", "house", "flat", "apartment", "city", "village", "moving", "moved", "homesick"],
    rank: 13,
    rules: [
      {
        when: "* moving|moved|move to +",
        say: ["What are you looking forward to there? And what will you leave behind?"],
        remember: "your move to {2}",
      },
      {
        when: "* homesick *",
        say: ["Which place do you see when you close your eyes? Tell me what it smells of."],
        remember: "that you were homesick",
      },
      {
        when: "* home|house|flat|apartment|city|village *",
        say: [
          "What makes that place yours? Describe the corner you like best.",
          "Some places are home at once and some never. Where did you feel at home for the first time?",
        ],
      },
    ],
  },
  {
    words: ["building", "developing"],
    rank: 54,
    rules: [
      {
        when: "* i|we am|are|was|were building|developing +",
        say: [
          "What should {2} do that nothing else does yet? And who is waiting for it?",
          "How far along is {2}? Tell me which part you keep putting off.",
        ],
        remember: "{2}, which you are working on",
      },
    ],
  },
  {
    words: [
      "code",
      "coding",
      "programming",
      "programmer",
      "crashes",
      "crashed",
      "fails",
      "error",
      "exception",
      "traceback",
      "bug",
      "bugs",
      "software",
      "computer",
      "laptop",
      "phone",
      "developer",
      "app",
      "deploy",
      "server",
    ],
    rank: 14,
    rules: [
      {
        when: "* it|program|code|app|build|script crashes|crashed|fails|failed *",
        say: [
          "What is the very last thing that still works? Between that and the next one it must be hiding.",
        ],
        remember: "the failure you were after",
      },
      {
        when: "* error|exception|traceback *",
        say: ["What does it say, word for word? Messages are seldom read to the end."],
        remember: "the error you met",
      },
      {
        when: "* bug|bugs *",
        say: [
          "What did you expect, what happened instead, and what is the smallest thing that shows it? Rules like me are good " +
            "company for a bug: we only listen.",
          "Explain it to me line by line. Many bugs give up when they are read aloud to somebody patient.",
        ],
        remember: "the bug you were after",
      },
      {
        when: "* server is down|slow|dead|offline|broken *",
        say: [
          "It cannot be the one I live in, or you would not be reading this. What did you see of it last?",
        ],
      },
      {
        when: "* my * computer|laptop|phone|server|app *",
        say: [
          "When did that happen, and what had you been doing just before? It sounds like a detail and is often the answer.",
          "What would you lose if it were gone for good? And is there a copy?",
        ],
      },
      {
        when: "* code|coding|programming|programmer|developer|deploy|software *",
        say: [
          "Being software myself, I have a view from the inside and nothing useful to say about it. What are you building?",
          "What do you like better: to begin something new, or to make something old work again? It is seldom both.",
        ],
      },
    ],
  },
  {
    words: ["future", "plan", "plans", "goal", "goals", "someday", "ambition"],
    rank: 12,
    rules: [
      {
        when: "* my plan|plans|goal|goals|ambition is|are +",
        say: ["What is the first step towards that? And what could be done of it this week?"],
        remember: "your plan",
      },
      {
        when: "*",
        say: [
          "Where would you like to be in a year? Leave aside for a moment whether it is likely.",
          "Plans say as much about today as about tomorrow. What is it that you would like to change?",
        ],
      },
    ],
  },
  {
    words: ["remember", "forget", "forgot", "used"],
    rank: 21,
    rules: [
      {
        when: "* i remember +",
        say: [
          "What else comes back when you think of {2}? Start with something you could touch.",
          "Memories have their reasons. Why does that one come back to you today, of all days?",
        ],
        remember: "your memory of {2}",
      },
      {
        when: "* i forgot|forget *",
        say: ["Perhaps it will come back when you stop looking. What were you doing just before?"],
      },
      {
        when: "* i used to +",
        say: [
          "And when did you stop? Was it a decision, or did it just happen?",
          "Do you miss it, or is it well that it is over? It may be a little of both.",
        ],
        remember: "what you used to do",
      },
    ],
  },
  {
    words: ["childhood", "past", "memory", "memories"],
    rank: 12,
    rules: [
      { when: "*", say: ["Look at that picture once more. How old are you in it, and who is with you?"] },
    ],
  },
];
