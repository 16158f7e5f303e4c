/** `[rooms."PATTERN"]` of holdline.toml: what rooms of these names do beyond handing messages on. */
import { LIMITS } from "../protocol/limits.ts";
import { isRoomPattern } from "../protocol/rooms.ts";
import { integer } from "./kinds.ts";
import { isTable, readTable, refuseAt, type TableContext } from "./tables.ts";

/** Rooms of one name, or with a `*` at its end of all that begin like it. */
export interface RoomSettings {
  readonly pattern: string;
  /** Messages that are kept; 0: none. */
  readonly history: number;
}

export const ROOM_FIELDS = {
  history: integer({
    least: 0,
    most: LIMITS.roomHistory,
    preset: 0,
    description: "Newest messages of each room that are kept, for as long as events of ended jobs.",
  }),
};

/** The rooms of the table `rooms`, in the order of the file. Problems go into the context. */
export function readRooms(context: TableContext, written: unknown): readonly RoomSettings[] {
  if (written === undefined) return [];
  if (!isTable(written)) {
    refuseAt(context, ["rooms"], "is not a table", { allowed: '[rooms."PATTERN"]' });
    return [];
  }
  return Object.entries(written).flatMap(([pattern, value]) => {
    const path = ["rooms", pattern];
    if (!isRoomPattern(pattern)) {
      refuseAt(context, path, "is not the name of a room", {
        allowed: "a name, or the beginning of names with a * behind it",
      });
    }
    const table = readTable(context, path, value, ROOM_FIELDS);
    return table === null ? [] : [{ pattern, ...table.values }];
  });
}
