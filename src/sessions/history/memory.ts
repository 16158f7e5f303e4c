/** The reference driver of `RoomHistory`: an array; nothing survives the process. */
import type { KeptMessage, RoomHistory } from "./history.ts";

export function createMemoryRoomHistory(): RoomHistory {
  let messages: KeptMessage[] = [];
  let last = 0;
  const ofRoom = (room: string): KeptMessage[] => messages.filter((message) => message.room === room);

  return {
    append: async (message, most) => {
      if (ofRoom(message.room).some(({ id }) => id === message.id))
        throw new Error("a message of this id is kept already");
      const before = ofRoom(message.room).at(-1)?.num ?? 0;
      last += 1;
      messages.push({ ...message, num: last });
      const oldest = ofRoom(message.room).at(-(most + 1))?.num ?? 0;
      messages = messages.filter(({ room, num }) => room !== message.room || num >= oldest);
      return { num: last, before };
    },
    find: async (room, id) => ofRoom(room).find((message) => message.id === id)?.num ?? null,
    before: async (room, most) => ofRoom(room).at(-(most + 1))?.num ?? 0,
    page: async (room, num, limit) =>
      ofRoom(room)
        .filter((message) => message.num > num)
        .slice(0, limit),
    sweep: async (saidBefore, limit) => {
      const over = new Set(messages.filter(({ at }) => at < saidBefore).slice(0, limit));
      messages = messages.filter((message) => !over.has(message));
      return over.size;
    },
  };
}
