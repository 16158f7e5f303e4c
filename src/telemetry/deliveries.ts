/** What goes out over sockets and streams, counted where it is handed to them. */
import { counter, type Family } from "./exposition.ts";

/** As much of a WebSocket as is passed on; the runtime's own one has this shape. */
export interface SocketLike {
  /** Bytes sent; -1: queued; 0: dropped or closed. */
  send(data: string | Uint8Array<ArrayBuffer>): number;
  close(code: number, reason: string): void;
  cork(run: () => void): void;
  getBufferedAmount(): number;
}

export interface DeliveryCounters {
  /** The same socket, counted. */
  counted(socket: SocketLike): SocketLike;
  /** A page of a log went out over an HTTP stream. */
  streamed(entries: number, bytes: number): void;
  families(): readonly Family[];
}

interface Sent {
  frames: number;
  eventFrames: number;
  bytes: number;
  dropped: number;
}

/** How every text frame of a log begins (hub/encode.ts); a binary frame is always one of a log. */
const EVENT_START = '{"type":"event"';

/** A class, since there may be as many of them as connections: its methods are shared. */
class CountedSocket implements SocketLike {
  readonly #socket: SocketLike;
  readonly #sent: Sent;

  constructor(socket: SocketLike, sent: Sent) {
    this.#socket = socket;
    this.#sent = sent;
  }

  send(data: string | Uint8Array<ArrayBuffer>): number {
    const result = this.#socket.send(data);
    const sent = this.#sent;
    if (result === 0) {
      sent.dropped += 1;
      return result;
    }
    sent.frames += 1;
    if (typeof data !== "string" || data.startsWith(EVENT_START)) sent.eventFrames += 1;
    // The runtime tells the size of what it took at once; only what it queued has to be measured.
    if (result > 0) sent.bytes += result;
    else sent.bytes += typeof data === "string" ? Buffer.byteLength(data) : data.byteLength;
    return result;
  }

  close(code: number, reason: string): void {
    this.#socket.close(code, reason);
  }

  cork(run: () => void): void {
    this.#socket.cork(run);
  }

  getBufferedAmount(): number {
    return this.#socket.getBufferedAmount();
  }
}

export function createDeliveryCounters(): DeliveryCounters {
  const sent: Sent = { frames: 0, eventFrames: 0, bytes: 0, dropped: 0 };
  let streamedEntries = 0;
  let streamedBytes = 0;
  return {
    counted: (socket) => new CountedSocket(socket, sent),
    streamed(entries, bytes) {
      streamedEntries += entries;
      streamedBytes += bytes;
    },
    families: () => [
      counter("holdline_frames_sent_total", "Frames handed to sockets.", sent.frames),
      counter(
        "holdline_event_frames_sent_total",
        "Those of them that bear entries of a log; one frame may fold several texts.",
        sent.eventFrames,
      ),
      counter("holdline_sent_bytes_total", "Bytes handed to sockets.", sent.bytes),
      counter(
        "holdline_frames_dropped_total",
        "Frames that a socket refused; its client has to come back and resume.",
        sent.dropped,
      ),
      counter(
        "holdline_stream_events_sent_total",
        "Entries of logs that went out over HTTP streams (SSE, NDJSON).",
        streamedEntries,
      ),
      counter("holdline_stream_sent_bytes_total", "Bytes of those streams.", streamedBytes),
    ],
  };
}
