/** The tables of holdline.toml together: read, shown without their secrets, and documented. */
import type { Json } from "../protocol/events.ts";
import { displayed } from "./display.ts";
import { HTTP_FIELDS } from "./http-table.ts";
import { fileKeyOf, variableOf } from "./names.ts";
import type { Problem } from "./problem.ts";
import { readRooms, ROOM_FIELDS, type RoomSettings } from "./room-tables.ts";
import type { Reading } from "./sources.ts";
import { factsOf, type Fields, isTable, refuseAt, type TableContext } from "./tables.ts";
import { readSchedules, SCHEDULE_FIELDS, type ScheduleSettings } from "./schedule-tables.ts";
import { namedType, readTypes, TYPE_FIELDS, type TypeSettings } from "./type-tables.ts";

/** One table of the file, as it may be shown. */
export interface DisplayedTable {
  readonly name: string;
  readonly json: Json;
  /** The same as lines of holdline.toml. */
  readonly toml: string;
}

export interface FileTables {
  readonly types: readonly TypeSettings[];
  readonly rooms: readonly RoomSettings[];
  readonly schedules: readonly ScheduleSettings[];
  readonly displayed: readonly DisplayedTable[];
  readonly problems: readonly Problem[];
}

/** The types of the file and those that are only named as served by workers. */
function allTypes(
  context: TableContext,
  written: unknown,
  workerTypes: readonly string[],
): readonly TypeSettings[] {
  const types = readTypes(context, written);
  for (const { type, http } of types) {
    const path = ["types", type];
    if (http !== null && workerTypes.includes(type))
      refuseAt(context, [...path, "http"], `serves a type that ${variableOf("workerTypes")} names as well`);
  }
  const named = workerTypes.filter((name) => types.every(({ type }) => type !== name));
  return [...types, ...new Set(named)].map((type) => (typeof type === "string" ? namedType(type) : type));
}

export function readFileTables(
  tables: Reading["tables"],
  place: Omit<TableContext, "problems"> & { readonly workerTypes: readonly string[] },
): FileTables {
  const problems: Problem[] = [];
  const types = allTypes({ ...place, problems }, tables.get("types"), place.workerTypes);
  return {
    types,
    rooms: readRooms({ ...place, problems }, tables.get("rooms")),
    schedules: readSchedules({ ...place, problems }, tables.get("schedules")),
    displayed: [...tables].map(([name, written]) => {
      const json = shown(written, [name]);
      return { name, json, toml: tomlLines(json, [name]).join("\n") };
    }),
    problems,
  };
}

/** A value as it was written, references unresolved; the value of a header that is no reference might be a secret. */
function shown(value: unknown, path: readonly string[]): Json {
  if (isTable(value))
    return Object.fromEntries(
      Object.entries(value).map(([name, one]) => [name, shown(one, [...path, name])]),
    );
  if (Array.isArray(value)) return value.map((one) => shown(one, path));
  const isHeader = path.at(-2) === "headers" && path.at(-3) === "http";
  return displayed({ secret: isHeader && !String(value).includes("${") }, value);
}

const bare = (name: string): string => (/^[\w-]+$/.test(name) ? name : JSON.stringify(name));

function tomlValue(value: Json): string {
  if (Array.isArray(value)) return `[${value.map((one: Json) => tomlValue(one)).join(", ")}]`;
  if (!isTable(value)) return JSON.stringify(value);
  const members = Object.entries(value).map(([name, one]) => `${bare(name)} = ${tomlValue(one)}`);
  return members.length === 0 ? "{}" : `{ ${members.join(", ")} }`;
}

/** Tables of the configuration get headings of their own; what stands under `input` is one value. */
function tomlLines(json: Json, path: readonly string[]): string[] {
  if (!isTable(json)) return [`${path.map(bare).join(".")} = ${tomlValue(json)}`, ""];
  const isHeading = ([name, value]: [string, unknown]): boolean =>
    isTable(value) && name !== "input" && name !== "metadata";
  const entries = Object.entries(json);
  const plain = entries.filter((entry) => !isHeading(entry));
  const own = plain.map(([name, value]) => `${bare(name)} = ${tomlValue(value)}`);
  const heading =
    plain.length === 0 && entries.length > 0 ? [] : [`[${path.map(bare).join(".")}]`, ...own, ""];
  return [
    ...heading,
    ...entries.filter(isHeading).flatMap(([name, value]) => tomlLines(value, [...path, name])),
  ];
}

export const TABLES_BEGIN = "<!-- tables -->";
export const TABLES_END = "<!-- /tables -->";

function rowsOf(fields: Fields): string[] {
  return Object.entries(fields).map(([key, schema]) => {
    const { defaultText, description, allowed } = factsOf(schema);
    const preset: unknown = schema.parse(undefined);
    const isSaid = ["string", "number", "boolean"].includes(typeof preset);
    const cell = defaultText ?? (isSaid ? `\`${String(preset)}\`` : "–");
    return `| \`${fileKeyOf(key)}\` | ${cell} | ${description} *${allowed}* |`;
  });
}

const TABLES: readonly (readonly [heading: string, fields: Fields])[] = [
  ["[types.NAME]", TYPE_FIELDS],
  ["[types.NAME.http]", HTTP_FIELDS],
  ['[rooms."PATTERN"]', ROOM_FIELDS],
  ["[schedules.NAME]", SCHEDULE_FIELDS],
];

/** The keys of the tables in Markdown, with the markers between which the README carries them. */
export function tablesDocumentation(): string {
  const parts = TABLES.map(([heading, fields]) => {
    const head = [`| \`${heading}\` | default | meaning, *what is allowed* |`, "|---|---|---|"];
    return head.concat(rowsOf(fields)).join("\n");
  });
  return [TABLES_BEGIN, parts.join("\n\n"), TABLES_END].join("\n\n");
}
