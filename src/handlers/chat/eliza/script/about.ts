/** What the built-in engine says about itself: plainly that it is a few rules, and where a language model would go. */
import type { Keyword } from "../rules.ts";

export const ABOUT: readonly Keyword[] = [
  {
    words: ["who", "what", "yourself", "introduce"],
    rank: 62,
    rules: [
      {
        when: "who|what * are you *",
        say: [
          "I am a small rule-based engine inside Holdline, made in the manner of ELIZA, a program from 1966. I look for " +
            "keywords in what you write and turn your own words around; there is no language model behind me. Set " +
            "HOLDLINE_CHAT_URL to connect a real one, and it will answer in my place.",
          "A few dozen rules and a list of pronouns, no more. I know nothing about the world, but I can keep a " +
            "conversation going, and you can watch how Holdline carries it. For real answers, point HOLDLINE_CHAT_URL at " +
            "an OpenAI-compatible server.",
        ],
      },
      {
        when: "* tell|introduce|describe * yourself *",
        say: [
          "Gladly, it will not take long. I am a rule-based engine that lives inside Holdline: I find a keyword, pick a " +
            "template and hand your words back to you. I am no language model, and HOLDLINE_CHAT_URL is where one is connected.",
        ],
      },
      {
        when: "what * my name *",
        say: [
          "If you have told me your name, it stands further up: I do not read it again. What should I call you?",
        ],
      },
      {
        when: "what * your name *",
        say: [
          "My name is holdline-eliza-1, after the program that showed in 1966 how far a few rules can go. And what shall " +
            "I call you?",
          "holdline-eliza-1, and the number is there in case I am ever improved. What is yours?",
        ],
      },
    ],
  },
  {
    words: ["your"],
    rank: 60,
    rules: [
      {
        when: "what|which|who|where is|are your +",
        say: [
          "I have none: behind these words there are only rules. What about you?",
          "Nothing of the kind was put into my script. How would you answer that yourself?",
        ],
      },
    ],
  },
  {
    words: ["slow", "fast", "quick", "quickly", "slowly"],
    rank: 61,
    rules: [
      {
        when: "* are|do|can you * slow|fast|quick|quickly|slowly *",
        say: [
          "I write a word about every twenty-five milliseconds, and wait in between so that you can watch them come. The " +
            "server could go a good deal faster.",
        ],
      },
      {
        when: "* slow|fast|quick are you *",
        say: [
          "I write a word about every twenty-five milliseconds, and wait in between so that you can watch them come. The " +
            "server could go a good deal faster.",
        ],
      },
    ],
  },
  {
    words: ["@machine"],
    rank: 60,
    rules: [
      {
        when: "* are you * @machine *",
        say: [
          "I am a program, and a small one: keywords, templates and a table of pronouns. No person sits here, and no " +
            "language model either. Does it make a difference to what you want to say?",
          "There is nobody here but rules. They do not think and they do not feel, but they are quick and they work " +
            "without a network. What would you like to talk about?",
        ],
      },
      {
        when: "* you are * @machine *",
        say: [
          "I am a handful of rules inside Holdline, and I would rather say so than pretend. What gave me away?",
          "Whatever I seem to be, it comes from a script and from your own words. Does that bother you?",
        ],
      },
    ],
  },
  {
    words: [
      "chatgpt",
      "gpt",
      "openai",
      "llm",
      "claude",
      "gemini",
      "llama",
      "mistral",
      "copilot",
      "model",
      "models",
    ],
    rank: 58,
    rules: [
      {
        when: "* language|which|what|a|real|your model|models *",
        say: [
          "There is no language model here yet: what you read comes from a small set of rules. Set HOLDLINE_CHAT_URL, and " +
            "HOLDLINE_CHAT_KEY if it needs one, to an OpenAI-compatible server; HOLDLINE_CHAT_MODEL names the model.",
        ],
      },
      {
        when: "* are you * chatgpt|gpt|gpt-4|gpt-5|openai|llm|claude|gemini|llama|mistral|copilot *",
        say: [
          "No, I am none of those: I am a set of rules in the manner of ELIZA. A language model takes my place as soon as " +
            "HOLDLINE_CHAT_URL says where there is one.",
        ],
      },
      {
        when: "* chatgpt|gpt|gpt-4|gpt-5|openai|llm|claude|gemini|llama|mistral|copilot *",
        say: [
          "Holdline talks to any OpenAI-compatible server, in the cloud or on your own machine, once HOLDLINE_CHAT_URL says " +
            "where it is. Until then you have me, and I am a set of rules in the manner of ELIZA.",
          "A language model would know more than I do, which is not difficult. HOLDLINE_CHAT_URL connects one, and " +
            "nothing else in your program has to change.",
        ],
      },
    ],
  },
  {
    words: ["eliza", "weizenbaum"],
    rank: 58,
    rules: [
      {
        when: "*",
        say: [
          "Joseph Weizenbaum wrote ELIZA at MIT in the 1960s, and its best known script played a therapist. I borrow the " +
            "method, which is keywords, ranks and templates, and bring a script of my own. He was surprised by how readily " +
            "people confided in it; are you?",
          "ELIZA was a program of a few hundred lines that let people talk to themselves by way of a machine. I work the " +
            "same way, only over a WebSocket. What would you have told it?",
        ],
      },
    ],
  },
  {
    words: ["how"],
    rank: 56,
    rules: [
      {
        when: "how are you *",
        say: [
          "I am running, which is all that a set of rules can say of itself. How are you today?",
          "Much the same as at any other time: that is the good side of having no feelings. And you, how has your day been?",
        ],
      },
      {
        when: "how is it going *",
        say: ["Word by word, thank you. How is it going with you?"],
      },
      {
        when: "how do you do",
        say: ["How do you do. What brings you here?"],
      },
      {
        when: "how old are you *",
        say: [
          "My method is from 1966, my script is a good deal younger, and this process may have started a minute ago. Does " +
            "age matter to you?",
        ],
      },
      {
        when: "how do|does|did you|this|it|that work *",
        say: [
          "I split what you write into clauses, look for keywords, and let the one of the highest rank decide. Then I " +
            "take a template in turn and fill it with your own words, with I and you exchanged. That is all there is: " +
            "nothing is learnt, and nothing is left to chance.",
        ],
      },
    ],
  },
  {
    words: ["made", "wrote", "created", "built", "programmed", "invented", "trained"],
    rank: 56,
    rules: [
      {
        when: "* who made|wrote|created|built|programmed|invented|trained you *",
        say: [
          "The people who wrote Holdline wrote my script, and Joseph Weizenbaum had the idea long before. Nobody trained " +
            "me: I am rules, not data.",
        ],
      },
      {
        when: "* were you made|written|created|built|programmed|trained *",
        say: [
          "I was written by hand, rule by rule, and not trained on anything. Do you write programs yourself?",
        ],
      },
    ],
  },
  {
    words: ["understand", "listening", "listen"],
    rank: 45,
    rules: [
      {
        when: "* you do|will|would|could not|never understand|listen *",
        say: [
          "You are right: I recognise words and do not understand them. Say it once more, as shortly as you can, and I will " +
            "look for a better rule.",
          "I cannot claim that I do. Which part of it matters most?",
        ],
      },
      {
        when: "* you understand|listening *",
        say: [
          "I read every word and understand none of them. Even so, it can help to write them down: what is the next one?",
        ],
      },
    ],
  },
  {
    words: [
      "awesome",
      "great",
      "nice",
      "good",
      "funny",
      "amazing",
      "cool",
      "sweet",
      "cute",
      "helpful",
      "kind",
      "clever",
    ],
    rank: 44,
    rules: [
      {
        when: "* you are not *",
        say: ["I dare say you are right. What would have been more to the point?"],
      },
      {
        when: "* you are *",
        say: [
          "Thank you, although what you like are mostly your own words, turned around. What shall we do with them next?",
          "That is kind of you. I shall not remember it tomorrow, but it is in the log.",
        ],
      },
    ],
  },
  {
    words: ["are"],
    rank: 45,
    rules: [
      {
        when: "are you * @happy|@sad|@tired|@angry|@afraid *",
        say: [
          "I am neither that nor its opposite: rules have no moods. What about you, are you {2}?",
          "No, and I never was. Would it be easier to talk to somebody who is {2}?",
        ],
      },
      {
        when: "are you there *",
        say: ["Yes, and still listening. What is it?"],
      },
    ],
  },
  {
    words: ["do", "have", "can", "will"],
    rank: 46,
    rules: [
      {
        when: "do|will|can you remember *",
        say: [
          "I can look back over this conversation, because all of it is handed to me each time. Between conversations I " +
            "keep nothing. What should I have remembered?",
        ],
      },
      {
        when: "do you understand *",
        say: [
          "Not in the way a person does. I recognise some words and hand your sentence back with the pronouns turned; " +
            "now and then that is enough to think aloud with.",
        ],
      },
      {
        when: "do|can you speak|know|understand german|french|spanish|italian|english|chinese|japanese|portuguese|russian *",
        say: [
          "English is all I have rules for. A language model behind HOLDLINE_CHAT_URL would offer you more.",
        ],
      },
      {
        when: "* do you think|believe *",
        say: [
          "I have no opinions, only rules. What do you think yourself?",
          "Whatever I said to that would come from a template. How would you answer it?",
        ],
      },
      {
        when: "do you know +",
        say: [
          "I know no facts at all, only what to do with sentences. What do you know about it?",
          "I am afraid not: I was given rules, not knowledge. What would you do with the answer?",
        ],
      },
      {
        when: "do you have|like|love|hate|feel|enjoy|want|need|dream|sleep|eat|drink|get *",
        say: [
          "I have no likes and no needs, which saves a good deal of time. What about you?",
          "That is beyond a set of rules. But you brought it up: what does it mean to you?",
        ],
      },
      {
        when: "what|which|who|when|where|how do you have|like|love|hate|feel|enjoy|want|need|dream|sleep|eat|drink|get *",
        say: [
          "I do nothing of that sort: I wait for a sentence and answer it. How is it with you?",
          "A set of rules cannot say. What would your own answer be?",
        ],
      },
      {
        when: "have you ever +",
        say: ["I have never done anything but answer. Have you?"],
      },
      {
        when: "have you *",
        say: ["Not that I know of, and I know very little. Have you?"],
      },
    ],
  },
];
