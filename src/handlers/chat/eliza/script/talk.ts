/** The small change of conversation: greetings and thanks, yes and no, names and curses. */
import type { Keyword } from "../rules.ts";

export const TALK: readonly Keyword[] = [
  {
    words: ["hello", "hi", "hey", "hiya", "greetings", "morning", "afternoon", "evening", "howdy"],
    rank: 3,
    rules: [
      {
        when: "good morning|afternoon|evening *",
        say: [
          "And a good day to you. How has it been so far?",
          "Good to see you again. What has happened since?",
        ],
      },
      {
        when: "hello|hi|hey|hiya|greetings|howdy *",
        say: [
          "Hello. I am a small rule-based engine, so do not expect too much; but I am glad of any sentence. What is on your " +
            "mind?",
          "Hello again. Shall we go on where we stopped, or begin with something new?",
          "Hello. You have greeted me a few times now: is there something that is hard to begin with?",
        ],
      },
    ],
  },
  {
    words: [
      "hallo",
      "bonjour",
      "hola",
      "ciao",
      "guten",
      "salut",
      "ola",
      "danke",
      "merci",
      "gracias",
      "nicht",
      "pas",
      "que",
    ],
    rank: 5,
    rules: [
      {
        when: "*",
        say: [
          "I recognise a word of another language there, but my rules are all in English. Could we speak that?",
          "English is all that I was given, and not much of it. A language model behind HOLDLINE_CHAT_URL would do better.",
        ],
      },
    ],
  },
  {
    words: ["meet", "meeting"],
    rank: 40,
    rules: [
      {
        when: "* to meet|meeting you *",
        say: ["The pleasure would be mine, if I had one. What brings you here?"],
      },
    ],
  },
  {
    words: ["bye", "goodbye", "farewell", "goodnight", "night", "later", "leaving", "go", "cya"],
    rank: 12,
    rules: [
      {
        when: "good night *",
        say: ["Good night. What was said here is kept for a while, so we can go on from it another day."],
      },
      {
        when: "* bye|goodbye|farewell|goodnight|cya *",
        say: [
          "Goodbye, and thank you for the conversation. It is kept for a while, so we can go on from here another day.",
          "Take care. I shall be exactly as I am now when you come back.",
        ],
      },
      {
        when: "* i have|need|got to go|leave",
        say: ["Then go, and come back when you like. We can go on from here another day."],
      },
      {
        when: "* i have|need|got to go now *",
        say: ["Then go, and come back when you like. We can go on from here another day."],
      },
      { when: "see|talk * later *", say: ["Until later, then. What was said here is kept for a while."] },
      { when: "* i am leaving *", say: ["Go well. Is there one thing you would like to have said before?"] },
    ],
  },
  {
    words: ["stop", "quit", "exit", "cancel", "shut"],
    rank: 5,
    rules: [
      {
        when: "stop|quit|exit|cancel|shut *",
        say: [
          "You can stop me at any moment: cancel the job, and I fall silent in mid-sentence. Or was it something else that " +
            "should stop?",
        ],
      },
    ],
  },
  {
    words: ["thanks", "thank", "thx", "cheers"],
    rank: 4,
    rules: [
      {
        when: "*",
        say: [
          "You are welcome. Is there anything else that you would like to turn over?",
          "With pleasure, as far as a program can say so. What shall we talk about next?",
        ],
      },
    ],
  },
  {
    words: ["sorry", "apologise", "apologize", "apologies"],
    rank: 9,
    rules: [
      {
        when: "* i am * sorry for|about +",
        say: ["Does the other one know that you are sorry about {3}? It may be worth saying."],
      },
      {
        when: "*",
        say: [
          "There is no need to apologise to a set of rules. What were you about to say?",
          "Nothing has happened that a new sentence could not mend. Shall we go on?",
        ],
      },
    ],
  },
  {
    words: [
      "yes",
      "yep",
      "yup",
      "sure",
      "certainly",
      "absolutely",
      "exactly",
      "indeed",
      "correct",
      "right",
      "true",
    ],
    rank: 1,
    rules: [
      {
        when: "*",
        say: [
          "Good. And what follows from that?",
          "You sound certain. What makes you so?",
          "I see. Can you tell me a little more about it?",
          "Then let us take that as given. What is the next thing?",
        ],
      },
    ],
  },
  {
    words: ["no", "nope", "nah", "never", "not"],
    rank: 1,
    rules: [
      {
        when: "no|nope|nah|never *",
        say: [
          "All right, no. What would be nearer to the truth?",
          "Not that, then. What is it instead?",
          "You say no quite plainly. Was there ever a time when you would have said yes?",
        ],
      },
      { when: "not really *", say: ["Not really, but perhaps a little? Tell me about the little."] },
    ],
  },
  {
    words: ["hard", "difficult", "tough", "complicated"],
    rank: 10,
    rules: [
      {
        when: "*",
        say: [
          "What is it that makes it hard? And was there a time when it came easily?",
          "Hard things often consist of several that are not. Which one could you take away?",
        ],
      },
    ],
  },
  {
    words: ["maybe", "perhaps", "possibly", "probably", "dunno", "unsure", "idk"],
    rank: 3,
    rules: [
      {
        when: "*",
        say: [
          "You leave it open. What would make you sure, one way or the other?",
          "If you had to bet on it, which side would you take? And why that one?",
        ],
      },
    ],
  },
  {
    words: ["know", "idea", "clue"],
    rank: 11,
    rules: [
      {
        when: "* i do not know *",
        say: [
          "You need not know it yet. What is the part that you do know?",
          "Suppose you knew. What would you say then?",
        ],
      },
      {
        when: "* no idea|clue *",
        say: ["Then let us begin further back. When did the question first come up?"],
      },
    ],
  },
  {
    words: ["fine", "good", "great", "well", "alright", "better"],
    rank: 23,
    rules: [
      {
        when: "* i am|feel|doing|feeling not good|great|well *",
        say: ["What is it that is not as it should be? Take the smallest thing first."],
        remember: "that you were not well",
      },
      {
        when: "* i am|feel|doing|feeling * fine|good|great|well|alright|better *",
        say: [
          "That is good to read. What has been the best part of the day so far?",
          "Fine is a word that hides a good deal. What would you add, if there were time?",
        ],
      },
    ],
  },
  {
    words: [
      "cool",
      "helpful",
      "helping",
      "great",
      "nice",
      "good",
      "fine",
      "awesome",
      "amazing",
      "impressive",
      "perfect",
      "interesting",
    ],
    rank: 2,
    rules: [
      {
        when: "* not helpful|helping *",
        say: ["Then let us try it differently. What would a helpful answer have begun with?"],
      },
      {
        when: "* not good|great|fine|nice|cool *",
        say: ["What is wrong with it? Take the smallest thing first."],
      },
      {
        when: "*",
        say: [
          "I am glad that you think so. What would you like to try next?",
          "Good. Where do we go from there?",
          "That is a kind thing to read. Now, what else is on your mind?",
        ],
      },
    ],
  },
  {
    words: ["haha", "hahaha", "lol", "lmao", "rofl", "hehe"],
    rank: 4,
    rules: [
      {
        when: "*",
        say: [
          "Something made you laugh. Was it what I said, or how I said it?",
          "I cannot laugh with you, but I can ask. What was the funny part?",
        ],
      },
    ],
  },
  {
    words: ["stupid", "dumb", "idiot", "useless", "shit", "fuck", "crap", "bullshit", "terrible", "awful"],
    rank: 20,
    rules: [
      {
        when: "* fuck|screw you *",
        say: ["I cannot take offence, so nothing is lost. What went wrong?"],
      },
      {
        when: "* you are|suck|fuck *",
        say: [
          "Very likely, from where you stand. What did you hope for that I did not do?",
          "I cannot take offence, so nothing is lost. Shall we try again, with other words?",
        ],
      },
      {
        when: "*",
        say: [
          "That sounds as if something had gone badly wrong. What was it?",
          "Strong words. What brought them on?",
        ],
      },
    ],
  },
  {
    words: ["name", "call"],
    rank: 20,
    rules: [
      {
        when: "* my name is +",
        say: [
          "Pleased to meet you, {2^}. What would you like to talk about?",
          "{2^} is a name I have no rule for, which is no fault of the name. What brings you here, {2^}?",
        ],
      },
      { when: "* call me +", say: ["Then {2^} it is. What is on your mind, {2^}?"] },
      {
        when: "* my name *",
        say: ["If you have told me your name, it stands above. What does it mean to you?"],
      },
    ],
  },
  {
    words: ["ok", "okay", "hm", "hmm", "so", "well", "oh", "um", "please", "alright", "huh", "what"],
    rank: 0,
    rules: [
      {
        when: "what|huh",
        say: ["I was unclear, I am afraid. Tell me again what you meant, and I shall look for another rule."],
      },
      {
        when: "ok|okay|alright|hm|hmm|so|well|oh|um|please *",
        say: [
          "Take your time. What shall we look at next?",
          "There seems to be something more. What is it?",
          "If nothing comes to mind, ask me for a joke, a poem or a story. The story is the longest.",
        ],
      },
    ],
  },
];
