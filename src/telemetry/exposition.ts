/**
 * The Prometheus text format, version 0.0.4 (https://prometheus.io/docs/instrumenting/exposition_formats/).
 *
 * Written here and not taken from a client library: our counters are plain numbers of the parts that own them, and all
 * that is left for a library would be these lines and a global registry that nobody wants.
 */
import type { HistogramReading } from "./histogram.ts";

export const EXPOSITION_TYPE = "text/plain; version=0.0.4; charset=utf-8";

export type Labels = Readonly<Record<string, string>>;

interface Head {
  readonly name: string;
  /** One sentence, with the unit where the name does not say it. */
  readonly help: string;
}

export interface NumberFamily extends Head {
  readonly type: "counter" | "gauge";
  readonly samples: readonly { readonly labels?: Labels; readonly value: number }[];
}

export interface HistogramFamily extends Head {
  readonly type: "histogram";
  readonly samples: readonly { readonly labels?: Labels; readonly reading: HistogramReading }[];
}

/** One metric with all its label sets. */
export type Family = NumberFamily | HistogramFamily;

function labelText(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => {
    const escaped = value.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll('"', '\\"');
    return `${name}="${escaped}"`;
  });
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}

function numberText(value: number): string {
  if (Number.isFinite(value)) return String(value);
  if (Number.isNaN(value)) return "NaN";
  return value > 0 ? "+Inf" : "-Inf";
}

function histogramLines(name: string, labels: Labels, { bounds, counts, sum }: HistogramReading): string[] {
  let total = 0;
  const buckets = counts.map((count, index) => {
    total += count;
    const bound = numberText(bounds[index] ?? Number.POSITIVE_INFINITY);
    return `${name}_bucket${labelText({ ...labels, le: bound })} ${total}`;
  });
  return [
    ...buckets,
    `${name}_sum${labelText(labels)} ${numberText(sum)}`,
    `${name}_count${labelText(labels)} ${total}`,
  ];
}

function sampleLines(family: Family): string[] {
  if (family.type === "histogram") {
    return family.samples.flatMap(({ labels = {}, reading }) => histogramLines(family.name, labels, reading));
  }
  return family.samples.map(
    ({ labels = {}, value }) => `${family.name}${labelText(labels)} ${numberText(value)}`,
  );
}

/** The whole answer to a scrape. Families without a sample are announced all the same: they exist, nothing happened. */
export function exposition(families: readonly Family[]): string {
  const lines = families.flatMap((family) => [
    `# HELP ${family.name} ${family.help.replaceAll("\\", "\\\\").replaceAll("\n", "\\n")}`,
    `# TYPE ${family.name} ${family.type}`,
    ...sampleLines(family),
  ]);
  return `${lines.join("\n")}\n`;
}

/** A counter that has no labels. */
export function counter(name: string, help: string, value: number): NumberFamily {
  return { name, help, type: "counter", samples: [{ value }] };
}

/** A gauge that has no labels. */
export function gauge(name: string, help: string, value: number): NumberFamily {
  return { name, help, type: "gauge", samples: [{ value }] };
}
