/** What a program outside of this process writes of a run, one item a line: `{kind, data}` (PROTOCOL section 6). */
import { z } from "zod";
import { LIMITS } from "./limits.ts";

const audioFormat = z.strictObject({
  codec: z.enum(["pcm_s16le", "opus", "mp3"]),
  sampleRate: z.int().min(1).max(LIMITS.sampleRate),
  channels: z.int().min(1).max(LIMITS.channels),
});

const item = <Kind extends string, Data extends z.ZodType>(kind: Kind, data: Data) =>
  z.strictObject({ kind: z.literal(kind), data });

export const itemSchema = z.discriminatedUnion("kind", [
  item("output.text", z.strictObject({ delta: z.string(), index: z.int().min(0).max(65_535).default(0) })),
  item("output.audio.format", audioFormat),
  item("output.audio", z.strictObject({ bytes: z.base64() })),
  item("output.data", z.json()),
  item(
    "job.progress",
    z.strictObject({ ratio: z.number().min(0).max(1).optional(), message: z.string().optional() }),
  ),
]);

export type WrittenItem = z.infer<typeof itemSchema>;
