/** Reads the Prometheus text format strictly, so that a test fails where a scraper would; shares no code with the writer. */

export interface Scraped {
  readonly type: string;
  readonly help: string;
  /** Value by the sample's name with its labels as they stand: `name{label="value"}`. */
  readonly samples: ReadonlyMap<string, number>;
}

const NAME = "[a-zA-Z_:][a-zA-Z0-9_:]*";
const LABEL = '[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\\\\n]|\\\\["\\\\n])*"';
const SAMPLE = new RegExp(`^(${NAME})((?:\\{${LABEL}(?:,${LABEL})*\\})?) (\\+Inf|-Inf|NaN|-?[0-9.e+-]+)$`);

function numberOf(text: string): number {
  if (text === "+Inf") return Number.POSITIVE_INFINITY;
  return text === "-Inf" ? Number.NEGATIVE_INFINITY : Number(text);
}

/** Families by name. Throws at the first line that is not as the format wants it. */
export function readExposition(text: string): Map<string, Scraped> {
  if (!text.endsWith("\n")) throw new Error("the last line is not ended");
  const families = new Map<string, Scraped & { samples: Map<string, number> }>();
  let name = "";
  let help = "";
  for (const line of text.slice(0, -1).split("\n")) {
    const helpLine = new RegExp(`^# HELP (${NAME}) (.+)$`).exec(line);
    const typeLine = new RegExp(`^# TYPE (${NAME}) (counter|gauge|histogram)$`).exec(line);
    if (helpLine !== null) {
      [, name = "", help = ""] = helpLine;
      if (families.has(name)) throw new Error(`${name} is announced twice`);
      continue;
    }
    if (typeLine !== null) {
      const [, typed = "", type = ""] = typeLine;
      if (typed !== name) throw new Error(`${typed} has no help`);
      families.set(name, { type, help, samples: new Map() });
      continue;
    }
    const sample = SAMPLE.exec(line);
    if (sample === null) throw new Error(`no sample: ${line}`);
    const [, sampled = "", labels = "", value = ""] = sample;
    const family = families.get(name);
    const own = family?.type === "histogram" ? sampled.replace(/_(?:bucket|sum|count)$/, "") : sampled;
    if (family === undefined || own !== name) throw new Error(`${sampled} stands under ${name}`);
    if (family.samples.has(sampled + labels)) throw new Error(`twice: ${sampled}${labels}`);
    family.samples.set(sampled + labels, numberOf(value));
  }
  return families;
}

/** One value of a scrape; 0 for a series that has not begun. */
export function valueOf(text: string, sample: string): number {
  const name = sample.replace(/\{.*/, "");
  for (const [family, { type, samples }] of readExposition(text)) {
    if (family === name || (type === "histogram" && name.startsWith(`${family}_`))) {
      return samples.get(sample) ?? 0;
    }
  }
  throw new Error(`there is no family ${name}`);
}
