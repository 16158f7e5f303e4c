/** The text format and the histogram behind it. */
import { describe, expect, test } from "bun:test";
import { exposition, gauge } from "../../src/telemetry/exposition.ts";
import { createHistogram } from "../../src/telemetry/histogram.ts";
import { readExposition } from "./scrape.ts";

describe("the exposition", () => {
  test("of a counter with labels, a gauge and a histogram is the format, character by character", () => {
    const histogram = createHistogram([0.1, 1]);
    for (const seconds of [0.05, 0.1, 0.5, 7]) histogram.observe(seconds);
    const text = exposition([
      {
        name: "calls_total",
        help: "Calls.",
        type: "counter",
        samples: [{ labels: { route: "/v1/jobs", status: "202" }, value: 3 }],
      },
      gauge("open", "Open ones.", 0),
      {
        name: "took",
        help: "Time.",
        type: "histogram",
        samples: [{ labels: { a: "b" }, reading: histogram.read() }],
      },
    ]);
    expect(text).toBe(`# HELP calls_total Calls.
# TYPE calls_total counter
calls_total{route="/v1/jobs",status="202"} 3
# HELP open Open ones.
# TYPE open gauge
open 0
# HELP took Time.
# TYPE took histogram
took_bucket{a="b",le="0.1"} 2
took_bucket{a="b",le="1"} 3
took_bucket{a="b",le="+Inf"} 4
took_sum{a="b"} 7.65
took_count{a="b"} 4
`);
  });

  test("escapes what would end a label or a line", () => {
    const labels = { type: 'a"b\\c\nd' };
    const text = exposition([
      { name: "n", help: "one\ntwo\\", type: "gauge", samples: [{ labels, value: 1 }] },
    ]);
    expect(text).toBe('# HELP n one\\ntwo\\\\\n# TYPE n gauge\nn{type="a\\"b\\\\c\\nd"} 1\n');
    expect(readExposition(text).size).toBe(1);
  });

  test("has words for numbers that are none", () => {
    const values = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN, 1e21];
    const samples = values.map((value, index) => ({ labels: { i: String(index) }, value }));
    const text = exposition([{ name: "n", help: "h", type: "gauge", samples }]);
    expect(text.match(/ \S+$/gm)?.slice(2)).toEqual([" +Inf", " -Inf", " NaN", " 1e+21"]);
  });
});

describe("a histogram", () => {
  test("counts what lies on a bound below it, and what lies above all of them", () => {
    const histogram = createHistogram([1, 2]);
    for (const seconds of [0, 1, 1.5, 2, 2.5, 100]) histogram.observe(seconds);
    expect(histogram.read()).toEqual({ bounds: [1, 2], counts: [2, 2, 2], sum: 107 });
  });

  test("gives out a reading that later observations do not touch", () => {
    const histogram = createHistogram([1]);
    const reading = histogram.read();
    histogram.observe(0.5);
    expect(reading.counts).toEqual([0, 0]);
  });
});
