/**
 * What a member of a room costs every node, wherever its socket is: memory of a roster of as many sessions as `bun
 * test/bench/roster.ts` is told (300,000), in rooms of a hundred, each session in one room and in five.
 */
import { heapStats } from "bun:jsc";
import { createRoster } from "../../src/hub/rooms/roster.ts";
import { createSystemClock } from "../../src/lib/clock.ts";
import { createIds } from "../../src/lib/ids.ts";
import type { SessionRecord } from "../../src/sessions/session.ts";

const SESSIONS = Number(Bun.argv[2] ?? 300_000);
const MEMBERS = 100;

const ids = createIds();

/** As it comes from a store: nothing in it is shared with another one. */
function record(n: number, rooms: number): SessionRecord {
  const session: SessionRecord = {
    id: ids.session(),
    userId: ids.anonymousUser(),
    nodeId: ids.any(),
    createdAt: n,
    connectedAt: 1_800_000_000_000 + n,
    lastSeenAt: n,
    presence: "online",
    presenceAt: 1_800_000_000_000 + n,
    chosenPresence: "online",
    rooms: Array.from({ length: rooms }, (_, of) => `room/${of}/${Math.floor(n / MEMBERS)}`),
    binding: null,
    awayBy: null,
    expiresBy: null,
    endedAt: null,
  };
  return JSON.parse(JSON.stringify(session)) as SessionRecord;
}

function used(): { readonly heap: number; readonly resident: number } {
  Bun.gc(true);
  const { heapSize, extraMemorySize } = heapStats();
  return { heap: heapSize + extraMemorySize, resident: process.memoryUsage().rss };
}

for (const rooms of [1, 5]) {
  const roster = createRoster({ clock: createSystemClock(), graceMs: 5000, onChanged: () => {} });
  const before = used();
  for (let n = 0; n < SESSIONS; n += 1) roster.put(record(n, rooms));
  const after = used();
  const each = (bytes: number): number => Math.round(bytes / SESSIONS);
  process.stdout.write(
    `a session in ${rooms} of ${roster.rooms} rooms: ${each(after.heap - before.heap)} bytes of heap, ${each(after.resident - before.resident)} of the process\n`,
  );
}
