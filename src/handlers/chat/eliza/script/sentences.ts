/** Sentences whose form is all there is to go by: what I want, what you are, what is mine. */
import type { Keyword } from "../rules.ts";

export const SENTENCES: readonly Keyword[] = [
  {
    words: ["i"],
    rank: 8,
    rules: [
      {
        when: "* i am + years old *",
        say: ["Suppose that the one you were ten years ago came in just now. What would surprise them most?"],
      },
      {
        when: "* i would like to +",
        say: ["What keeps you from it? Suppose that you began to {2} this very week: what would be first?"],
        remember: "that you would like to {2}",
      },
      {
        when: "* i want|need|wish|hope to +",
        say: [
          "What would it change for you to {2}? And what stands in the way?",
          "Suppose you had it already. What would you want next?",
          "How long have you wanted to {2}? Something must have kept it alive.",
        ],
        remember: "that you want to {2}",
      },
      {
        when: "* i want|need you to +",
        say: ["I can do little more than answer. What would you have, if I did?"],
      },
      {
        when: "* i want|need|would like +",
        say: [
          "What would {2} do for you? Tell me how a day would look with it.",
          "Suppose that you never got {2}. What would be missing most?",
        ],
        remember: "that you want {2}",
      },
      {
        when: "* i cannot +",
        say: [
          "What stops you? Try to tell apart what cannot be done and what has only been difficult so far.",
          "Perhaps you cannot {2} yet. Who do you know who can, and what do they do differently?",
        ],
        remember: "that you cannot {2}",
      },
      {
        when: "* i could not +",
        say: ["What was missing, that day? And if you could try it again, what would you change?"],
        remember: "that you could not {2}",
      },
      {
        when: "* i do not like|trust|love|care|enjoy|believe +",
        say: [
          "What would have to happen for that to change? Something small would do.",
          "Was it always so, or did something put you off? I am only asking.",
        ],
      },
      {
        when: "* i do not +",
        say: [
          "You do not {2}, you say. Is that by choice, or did it never come to it?",
          "Would you like that to be different? What would it take?",
        ],
      },
      {
        when: "* i feel like +",
        say: ["What makes it look that way? Tell me of one moment when it was plain to see."],
      },
      {
        when: "* i feel +",
        say: [
          "When you feel {2}, what goes through your mind? And when did you last feel quite otherwise?",
          "Feelings usually have a beginning. Where does this one come from, if you follow it back?",
        ],
        remember: "that you felt {2}",
      },
      {
        when: "* i think|believe|guess|suppose +",
        say: [
          "What speaks for it, and what against? You need not decide at once.",
          "Do others see it that way too? Tell me of one who does not.",
          "You put that with care. How sure are you, between one and ten?",
        ],
      },
      {
        when: "* i am not +",
        say: [
          "Not {2}, you say. Who told you that you should be?",
          "What would change if you were? And for whom?",
        ],
      },
      {
        when: "* i am from +",
        say: [
          "What should somebody know about {2} who has never been there? Tell me something that is in no guidebook.",
        ],
        remember: "that you come from {2}",
      },
      {
        when: "* i am going to +",
        say: ["What do you expect of it? And what would have to happen for it to turn out well?"],
        remember: "that you are going to {2}",
      },
      {
        when: "* i am a|an|the +",
        say: [
          "What is it like to be one? Tell me about an ordinary Tuesday.",
          "How did you become one? I should like to hear of the moment when it began.",
        ],
      },
      {
        when: "* i am +",
        say: [
          "You are {2}, you say. What should I know about that?",
          "How does it come about that you are {2}? Begin wherever you like.",
          "So you are {2}. Is that as it should be, or would you rather it were otherwise?",
        ],
        remember: "that you are {2}",
      },
      {
        when: "* i was +",
        say: ["You were {2}. What came after that, and what has remained of it?"],
        remember: "that you were {2}",
      },
      {
        when: "* i like|enjoy|prefer +",
        say: [
          "What is it about {2} that you like? Try to say it to somebody who has never seen it.",
          "When did you find out that you like {2}? And who knows about it?",
        ],
        remember: "that you like {2}",
      },
      { when: "* i have to|must +", say: ["Who says that you have to? And what happens if you do not?"] },
      { when: "* i have been +", say: ["How did it begin? And what has changed while you have been {2}?"] },
      {
        when: "* i have +",
        say: [
          "How did that come about? And what does it mean to you?",
          "Tell me more about it. Since when has it been so?",
        ],
      },
      { when: "* i will|shall *", say: ["That sounds decided. What made up your mind?"] },
      {
        when: "* i could *",
        say: ["You could, and what speaks against it? Begin with the weakest reason."],
      },
      {
        when: "* i tried|try to +",
        say: ["What happened when you tried? And what would you do differently next time?"],
        remember: "that you tried to {2}",
      },
    ],
  },
  {
    words: ["you"],
    rank: 7,
    rules: [
      {
        when: "* you remind me of +",
        say: ["That is a compliment or a complaint. What do {2} and I have in common?"],
      },
      { when: "you are welcome *", say: ["You have better manners than most. What shall we talk about?"] },
      {
        when: "* you are not +",
        say: ["No, I am not, and a good many other things besides. What would it change if I were?"],
      },
      {
        when: "* you are +",
        say: [
          "What makes you think that I am {2}? I only turn your sentences around.",
          "Perhaps I am {2}, as far as rules can be. Does that help you or hinder you?",
        ],
      },
      {
        when: "are you +",
        say: [
          "Whether I am {1} is hard to say for a set of rules. Why do you ask?",
          "Suppose I said yes. What would it mean to you if I were {1}?",
        ],
      },
      {
        when: "can|could|will|would you *",
        say: [
          "Most likely not: I answer sentences with sentences, and that is all I can do. What did you have in mind?",
          "I have no hands and no tools, only templates. What would you do with it?",
        ],
      },
      { when: "* you do not|cannot +", say: ["That may well be. What would you want me to do instead?"] },
      {
        when: "* you said|told *",
        say: ["Whatever I said came from a template and from your words. Which of the two was wrong?"],
      },
      {
        when: "* you *",
        say: [
          "We were talking about you, and I am far less interesting. How are things on your side?",
          "You turn to me, but I am only a mirror with a script. What does it look like from where you stand?",
        ],
      },
    ],
  },
  {
    words: ["do", "does", "did", "is", "are", "was", "were", "will", "has", "can"],
    rank: 6,
    rules: [
      {
        when: "do|does|did|is|are|was|were|will|has|can +",
        say: [
          "That calls for a yes or a no, and I have no knowledge to choose by. Which of the two would you rather hear?",
          "I cannot tell, having only your words to go by. What would you say yourself?",
          "Nobody told me. What makes you doubt it?",
        ],
      },
    ],
  },
  {
    words: ["my"],
    rank: 4,
    rules: [
      {
        when: "* my +",
        say: [
          "Your {2}: tell me more about that. How did it begin?",
          "You say, your {2}. What would you like to be different?",
          "You come back to what is yours, and that is a good place to begin. Why does it matter to you now?",
        ],
        remember: "your {2}",
      },
    ],
  },
  {
    words: ["we", "they", "he", "she"],
    rank: 3,
    rules: [
      {
        when: "can|could|may|shall|should we *",
        say: ["By all means, as far as it depends on me. Where do we begin?"],
      },
      {
        when: "* we +",
        say: [
          "Who belongs to that we? And does everybody in it see it the same way?",
          "You speak for more than one. What would the others say?",
        ],
      },
      {
        when: "* they +",
        say: [
          "Who are they, more precisely? Tell me about one of them.",
          "I have heard only your side of it. How would they put it, if I could ask?",
        ],
      },
      {
        when: "* he|she +",
        say: [
          "What do you think is behind that? And what did you do then?",
          "How did it come to that? Tell me what went before.",
        ],
      },
    ],
  },
  {
    words: ["i"],
    rank: 1,
    rules: [
      {
        when: "i +",
        say: [
          "And then? Tell me what came of it.",
          "What went through your mind at that moment? The first thing is often the right one.",
          "I see. Who else was there, and what did they say?",
        ],
      },
    ],
  },
  {
    words: ["is", "was", "it", "that", "this"],
    rank: 1,
    rules: [
      {
        when: "it|that|this is|was +",
        say: [
          "In what way? Give me an example, if you can find one.",
          "What makes it so? And was it ever otherwise?",
        ],
      },
    ],
  },
];
