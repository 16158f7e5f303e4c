/** Questions: for advice, for reasons, and for facts, of which the built-in engine has none. */
import type { Keyword } from "../rules.ts";
import { ASK_A_MODEL } from "./requests.ts";

export const QUESTIONS: readonly Keyword[] = [
  {
    words: ["should", "advice", "recommend", "suggest"],
    rank: 31,
    rules: [
      {
        when: "* what|how|where|which|when * should i|we *",
        say: [
          "I cannot decide that for you, but I can ask. What speaks for it, and what has held you back so far?",
          "Suppose that a friend asked you the very same thing. What would you tell them?",
          "Which answer do you hope to hear? That one is often a good place to start.",
        ],
      },
      {
        when: "should i|we +",
        say: [
          "Whether you should {1} is for you to say. What happens if you do, and what if you do not?",
          "Imagine that you had already decided. Are you relieved, or do you regret it?",
        ],
      },
      {
        when: "* advice|recommend|suggest *",
        say: [
          "Advice from a set of rules would not be worth much. Tell me what you have tried already, and we can look at " +
            "that together.",
        ],
      },
    ],
  },
  {
    words: ["what", "who", "where", "when", "which", "explain", "define"],
    rank: 28,
    rules: [
      {
        when: "what is|are|was|were @article +",
        say: [
          `I would have to look that up, and I cannot: I know words, not facts. ${ASK_A_MODEL} tell you about {1} {2}. What ` +
            "makes you ask?",
          `About {1} {2} I know nothing, like most things. ${ASK_A_MODEL} help; what have you heard so far?`,
        ],
      },
      {
        when: "who|what|where am i *",
        say: ["You know that better than I do. How would you put it, if you had to say it to a stranger?"],
      },
      {
        when: "what do|does|did you mean *",
        say: [
          "Less than you might think: it was a template that fitted your words. Which part of it was unclear?",
          "I handed your own words back and added a question. Put it the way you would have put it.",
        ],
      },
      {
        when: "what are you doing *",
        say: ["Looking for keywords in what you write. What are you doing?"],
      },
      {
        when: "what about +",
        say: [
          "You tell me: what about {1}? I know of it only what you say here.",
          "{1^}, you say. What made you think of that?",
        ],
      },
      { when: "what a|an +", say: ["It seems to have moved you. What was it about it that did?"] },
      { when: "what is up *", say: ["Nothing much, I was waiting for a message. What is up with you?"] },
      {
        when: "what is wrong *",
        say: ["With me, nothing that more rules would not mend. What feels wrong to you?"],
      },
      {
        when: "what if +",
        say: [
          "Suppose it were so. What would you do first?",
          "Do you fear that, or do you hope for it? The two are closer than they look.",
        ],
      },
      {
        when: "what would|will|do|did|can|could you *",
        say: [
          "I would follow my rules, which is all that I ever do. What are you inclined to do?",
          "Nothing that a template does not tell me. And you?",
        ],
      },
      {
        when: "what +",
        say: [
          `I have no facts to answer that with, only rules. ${ASK_A_MODEL}. What would the answer change for you?`,
          `That is a question for somebody who knows things. ${ASK_A_MODEL} try; I can only ask what you think yourself.`,
          "I do not know, and a guess of mine would be worth nothing. What would be your own?",
        ],
      },
      {
        when: "who|where|when|which +",
        say: [
          `I have no facts to answer that with. ${ASK_A_MODEL} try. What do you hope the answer is?`,
          "I do not know: nobody ever told me anything but what is written here. What is your own guess?",
        ],
      },
      {
        when: "explain|define +",
        say: [
          `To explain that, one would have to understand it, and I do not. ${ASK_A_MODEL}. Where did you come across it?`,
        ],
      },
    ],
  },
  {
    words: ["how", "why"],
    rank: 27,
    rules: [
      {
        when: "why do|did|are|were|can|will|would|should you *",
        say: [
          "For no reason of my own: a keyword was there, and a template hung on it. What reason would you have guessed?",
          "Because a rule said so. Does it trouble you that I have no better answer?",
        ],
      },
      {
        when: "why do|did|am|was|can|cannot|should|must i *",
        say: [
          "You have known yourself longer than I have. What is the first reason that comes to your mind?",
          "Suppose somebody else had asked you that. Which answer would you have given?",
        ],
      },
      {
        when: "why not",
        say: [
          "A fair question. What would be the worst that could happen?",
          "Perhaps there is no reason. Is there one for it?",
        ],
      },
      {
        when: "why +",
        say: [
          "I do not know why. What explanation have you heard, and do you believe it?",
          "You may be closer to the reason than I am. What have you noticed?",
        ],
      },
      {
        when: "why",
        say: [
          "Because a rule of mine said so. What would be a better reason to ask?",
          "Why indeed? What do you think?",
        ],
      },
      {
        when: "how do|can|could|should|would i|we|you +",
        say: [
          "I have no instructions to give, only questions to ask. How far have you got with it by yourself?",
          `If I knew how, I would tell you. ${ASK_A_MODEL}; in the meantime, which step is the hard one?`,
        ],
      },
      {
        when: "how to +",
        say: [
          `I have no instructions to give. ${ASK_A_MODEL} tell you how to {1}. What have you tried so far?`,
        ],
      },
      { when: "how about +", say: ["{1^}, why not? What do you like about the idea?"] },
      {
        when: "how many|much|far|long|tall|big|old|often|fast +",
        say: [
          "I have no numbers to offer, since nobody gave me any. What would be your guess?",
          "I cannot measure or look up anything. Why do you want to know?",
        ],
      },
      {
        when: "how +",
        say: [
          "I do not know how. What would an answer change for you?",
          "That is more than my rules can tell. What is your own idea?",
        ],
      },
    ],
  },
  {
    words: ["tell"],
    rank: 26,
    rules: [
      {
        when: "* tell me about +",
        say: [
          `I know nothing about {2}, as I know nothing about most things. ${ASK_A_MODEL} tell you more. What do you know ` +
            "about it?",
        ],
      },
      {
        when: "* tell me something *",
        say: [
          "Every word I write is stored before you see it, and that is the most interesting thing about me. Now tell me something about you.",
        ],
      },
      {
        when: "* tell me *",
        say: ["I would, if I knew. Perhaps you can tell me instead: what do you think?"],
      },
    ],
  },
];
