/** What becomes of a text before it is spoken: sentences, pieces, and what an English voice can read of them. */
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { readInEnglish } from "../../src/handlers/speech/english.ts";
import {
  createSentenceStream,
  cutLong,
  PIECE_CHARS,
  sentencesOf,
} from "../../src/handlers/speech/sentences.ts";

describe("reading in English", () => {
  test.each([
    ["Hello, world.", "Hello, world."],
    ["café naïve Ñandú Straße Łódź Æon", "cafe naive Nandu Strasse Lodz Aeon"],
    ["“It’s” — really…", '"It\'s", really...'],
    ["£5.50, €3 and $4", "5.50 pounds, 3 euros and $4"],
    ["1½ cups, x², 25 °C, −5", "1 and 1/2 cups, x squared, 25 degrees C, minus 5"],
    ["pages 5–7", "pages 5 to 7"],
    ["# Title with **bold** and `code_name`", "Title with bold and code name"],
    ["C# is #1 on .NET", "C# is #1 on .NET"],
    ["Ｆｕｌｌ width, ﬁne", "Full width, fine"],
    ["hi 😀👍🏽 there 👨‍👩‍👧!", "hi there!"],
    ["I love 寿司 a lot", "I love a lot"],
    ["a\u0000b\u0007c\u200bd\ud800e\r\nf", "a b cd e f"],
    ["x +\t\t y", "x + y"],
  ])("%j is read as %j", (written, spoken) => {
    expect(readInEnglish(written)).toEqual({ text: spoken, foreign: false });
  });

  test.each(["Привет, мир!", "你好。", "안녕", "مرحبا ٣", "π", "😀 да"])("%j is foreign", (written) => {
    expect(readInEnglish(written)).toEqual({ text: "", foreign: true });
  });

  test.each(["", "   ", "...", "😀", "***", "—", "ə", "\u0000"])("%j is silent", (written) => {
    expect(readInEnglish(written)).toEqual({ text: "", foreign: false });
  });

  test("any string at all becomes printable ASCII on one line", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (written) => {
        expect(readInEnglish(written).text).toMatch(/^[\x20-\x7e]*$/);
      }),
    );
  });
});

describe("sentences", () => {
  test.each([
    [
      'Dr. Smith met J. R. Tolkien at 5 p.m. on Monday. He said "hi." (Really?) Yes!',
      ["Dr. Smith met J. R. Tolkien at 5 p.m. on Monday.", 'He said "hi."', "(Really?)", "Yes!"],
    ],
    ["It is 3.14 exactly. Wait... what?", ["It is 3.14 exactly.", "Wait... what?"]],
    ["Title\n\n- one\n- two", ["Title", "- one", "- two"]],
    ["a line that\nis wrapped. Next", ["a line that is wrapped.", "Next"]],
    ["你好。再见。", ["你好。", "再见。"]],
    [" \n ", []],
  ])("of %j", (text, sentences) => {
    expect(sentencesOf(text)).toEqual(sentences);
  });

  test("a sentence of a stream is complete when the next one begins", () => {
    const stream = createSentenceStream();
    expect(stream.push("Hello the")).toEqual([]);
    expect(stream.push("re. ")).toEqual([]);
    expect(stream.push("How are")).toEqual(["Hello there."]);
    expect(stream.push(" you? I am fine. So")).toEqual(["How are you?", "I am fine."]);
    expect(stream.end()).toEqual(["So"]);
    expect(stream.end()).toEqual([]);
  });

  test("neither a number nor a title is cut where the stream happens to pause", () => {
    const stream = createSentenceStream();
    const complete = Array.from("It is 3.14, says Dr. Smith. Ok.").flatMap((char) => stream.push(char));
    expect([...complete, ...stream.end()]).toEqual(["It is 3.14, says Dr. Smith.", "Ok."]);
  });

  test("a stream without an end of a sentence gives pieces all the same", () => {
    const stream = createSentenceStream();
    const pieces = Array.from({ length: 400 }, () => stream.push("word ")).flat();
    expect(pieces.length).toBeGreaterThanOrEqual(6);
    for (const piece of pieces) expect(piece.length).toBeLessThanOrEqual(PIECE_CHARS);
    expect([...pieces, ...stream.end()].join(" ")).toBe("word ".repeat(400).trim());
  });

  test("a stream loses nothing but blanks, however it is cut", () => {
    const words = fc.array(
      fc.constantFrom("Hi. ", "word ", "Dr. ", "3.5", "\n", "—, ", "😀", "x".repeat(70)),
      {
        maxLength: 60,
      },
    );
    fc.assert(
      fc.property(words, fc.integer({ min: 1, max: 9 }), (parts, step) => {
        const text = parts.join("");
        const stream = createSentenceStream();
        const pieces: string[] = [];
        for (let at = 0; at < text.length; at += step) pieces.push(...stream.push(text.slice(at, at + step)));
        pieces.push(...stream.end());
        for (const piece of pieces) expect(piece.length).toBeLessThanOrEqual(PIECE_CHARS);
        expect(pieces.join("").replaceAll(/\s/g, "")).toBe(text.replaceAll(/\s/g, ""));
      }),
    );
  });
});

describe("long sentences", () => {
  test("are cut behind a comma if there is one late enough, else at a blank", () => {
    const [first] = cutLong(`${"word ".repeat(40)}end, ${"more ".repeat(40)}`);
    expect(first).toEndWith("end,");
    const [second] = cutLong(`Oh, ${"word ".repeat(100)}`);
    expect(second).toEndWith("word ");
    expect(second?.length).toBeGreaterThan(PIECE_CHARS - 6);
  });

  test("a row of code points that need two units each is cut between them", () => {
    const pieces = cutLong(`a${"😀".repeat(400)}`);
    expect(pieces.map((piece) => piece.length)).toEqual([299, 300, 202]);
    for (const piece of pieces) expect(piece.isWellFormed()).toBeTrue();
  });

  test("pieces are the whole, none is too long, and none splits a code point", () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom("a", " ", ", ", "😀", "longword"), { maxLength: 1500 }),
        (parts) => {
          const text = parts.join("");
          const pieces = cutLong(text);
          expect(pieces.join("")).toBe(text);
          for (const piece of pieces) {
            expect(piece.length).toBeLessThanOrEqual(PIECE_CHARS);
            expect(piece.isWellFormed()).toBeTrue();
          }
        },
      ),
    );
  });
});

test.each([" ", "\n", " \n", "—", "£1,", "A. ", "#", "\u0301", "a,", "(", "."])(
  "%j a hundred thousand times takes no time to speak of",
  (part) => {
    const text = `a${part.repeat(100_000)}b`;
    const startedMs = performance.now();
    for (const sentence of sentencesOf(text)) cutLong(readInEnglish(sentence).text);
    readInEnglish(text);
    // Linear work takes some 100 ms on a slow machine, quadratic work many seconds.
    expect(performance.now() - startedMs).toBeLessThan(3000);
  },
);
