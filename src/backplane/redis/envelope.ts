/**
 * What goes over Redis: signals of one turn, numbered and signed. Whoever can publish there and does not know the
 * installation's secret can neither write a message nor turn one of ours into another.
 */
import { timingSafeEqual } from "node:crypto";
import type { Recipients, Signal } from "../backplane.ts";

export interface Envelope {
  /** Of the process that wrote it. */
  readonly boot: string;
  readonly node: string;
  /** Grows by one with every message of this boot, to whomever. */
  readonly number: number;
  /** Grows by one with every message to all, and with every signal that was given up: a hole means that some were lost. */
  readonly mark: number;
  /** Installation's steady time. */
  readonly at: number;
  /** Empty in a beat, which says only that its writer is there. */
  readonly signals: readonly Signal[];
  /**
   * Its writer has given signals up since its last message to all. Who has heard of the writer for a moment only cannot
   * see the hole.
   */
  readonly lost?: true;
  /** The last one of this boot. */
  readonly bye?: true;
}

export interface Installation {
  /** Keeps installations apart that share a Redis server. */
  readonly name: string;
  readonly secret: string;
}

export interface Envelopes {
  channelOf(to: Recipients): string;
  /** `signals`: each as JSON text already. */
  seal(channel: string, header: Omit<Envelope, "signals">, signals: readonly string[]): string;
  /** null when it was not written by this installation, for this channel, in a form that this version reads. */
  open(channel: string, text: string): Envelope | null;
  /** Whether it says that this boot wrote it; believed only to leave it aside. */
  claims(text: string, boot: string): boolean;
}

/** Of the form. A node drops what it cannot read, and finds what it missed by asking the stores. */
const VERSION = 1;
/** SHA-256 in base64url. */
const MAC_CHARS = 43;

export function createEnvelopes({ name, secret }: Installation): Envelopes {
  // A key of its own: the same secret may sign other things.
  const key = new Bun.CryptoHasher("sha256", secret).update("holdline backplane").digest();
  const hasher = new Bun.CryptoHasher("sha256", key);
  const prefix = `holdline:${name}:`;
  const macOf = (channel: string, body: string): string =>
    hasher.copy().update(`${channel}\n`).update(body).digest("base64url");
  const bootMark = (boot: string): string => `{"boot":${JSON.stringify(boot)}`;

  return {
    channelOf(to) {
      if (to === "all") return `${prefix}all`;
      if ("node" in to) return `${prefix}node:${to.node}`;
      // Rooms have names that users chose: nobody reads them off the list of channels.
      return `${prefix}room:${hasher.copy().update("room\n").update(to.room).digest("base64url").slice(0, 22)}`;
    },

    seal(channel, { boot, node, number, mark, at, lost, bye }, signals) {
      const last = `${lost === true ? ',"lost":true' : ""}${bye === true ? ',"bye":true' : ""}`;
      const header = `"v":${VERSION},"node":${JSON.stringify(node)},"number":${number},"mark":${mark},"at":${at}`;
      const body = `${bootMark(boot)},${header}${last},"signals":[${signals.join(",")}]}`;
      return macOf(channel, body) + body;
    },

    open(channel, text) {
      const body = text.slice(MAC_CHARS);
      const given = new TextEncoder().encode(text.slice(0, MAC_CHARS));
      const right = new TextEncoder().encode(macOf(channel, body));
      if (given.byteLength !== right.byteLength || !timingSafeEqual(given, right)) return null;
      // Signed: what one of us wrote is what it says, if it was written in this form.
      const read = JSON.parse(body) as Envelope & { readonly v: unknown };
      return read.v === VERSION ? read : null;
    },

    claims: (text, boot) => text.startsWith(bootMark(boot), MAC_CHARS),
  };
}
