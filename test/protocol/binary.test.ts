/** Binary frames: byte for byte as the protocol draws them (PROTOCOL section 5), and read back whatever they hold. */
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import {
  BINARY_HEADER_BYTES,
  decodeBinaryFrame,
  encodeBinaryFrame,
  type BinaryFrame,
} from "../../src/protocol/binary.ts";
import { LIMITS } from "../../src/protocol/limits.ts";

const JOB = "01890a5d-ac96-774b-bcce-b302099a8057";

test("a frame is drawn byte for byte", () => {
  const payload = new Uint8Array([0xde, 0xad]);
  const frame = { kind: "output.audio", attempt: 0x0102, seq: 0x03040506, job: JOB, payload } as const;
  expect(encodeBinaryFrame(frame).toHex()).toBe("010101020304050601890a5dac96774bbcceb302099a8057dead");
  expect(encodeBinaryFrame({ ...frame, kind: "output.data" })[1]).toBe(2);
});

test("what is encoded is decoded", () => {
  const frame: fc.Arbitrary<BinaryFrame> = fc.record({
    kind: fc.constantFrom("output.audio" as const, "output.data" as const),
    attempt: fc.integer({ min: 0, max: LIMITS.attempts }),
    seq: fc.integer({ min: 1, max: 2 ** 32 - 1 }),
    job: fc.uuid(),
    payload: fc.uint8Array({ maxLength: 100 }),
  });
  fc.assert(
    fc.property(frame, fc.nat({ max: 7 }), (given, offset) => {
      const bytes = encodeBinaryFrame(given);
      expect(bytes.byteLength).toBe(BINARY_HEADER_BYTES + given.payload.byteLength);
      expect(decodeBinaryFrame(bytes)).toEqual(given);
      // Frames may lie anywhere in a larger buffer.
      const larger = new Uint8Array(offset + bytes.byteLength + 3);
      larger.set(bytes, offset);
      expect(decodeBinaryFrame(larger.subarray(offset, offset + bytes.byteLength))).toEqual(given);
    }),
  );
});

test("the payload is copied into a frame, and looked at in place when it is read", () => {
  const payload = new Uint8Array([1, 2, 3]);
  const bytes = encodeBinaryFrame({ kind: "output.data", attempt: 1, seq: 1, job: JOB, payload });
  payload.fill(9);
  const read = decodeBinaryFrame(bytes);
  expect([...(read?.payload ?? [])]).toEqual([1, 2, 3]);
  expect(read?.payload.buffer).toBe(bytes.buffer);
});

describe("what is no frame that this version knows", () => {
  const good = encodeBinaryFrame({
    kind: "output.data",
    attempt: 1,
    seq: 1,
    job: JOB,
    payload: new Uint8Array(),
  });
  const changed = (at: number, value: number): Uint8Array => {
    const bytes = good.slice();
    bytes[at] = value;
    return bytes;
  };
  test.each<[name: string, bytes: Uint8Array]>([
    ["nothing", new Uint8Array()],
    ["half a header", good.subarray(0, BINARY_HEADER_BYTES - 1)],
    ["another version", changed(0, 2)],
    ["a kind of later", changed(1, 3)],
    ["kind 0", changed(1, 0)],
  ])("%s is null, not an error", (_name, bytes) => {
    expect(decodeBinaryFrame(bytes)).toBeNull();
    expect(decodeBinaryFrame(good)).not.toBeNull();
  });
});
