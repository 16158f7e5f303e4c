/**
 * Tokens of machines: workers, operators and programs that publish (PROTOCOL section 2). Opaque secrets, made by the
 * command line and kept as hashes only; each opens one part of the API, narrowed by its scope.
 */
import type { Clock } from "../lib/clock.ts";
import type { Ids } from "../lib/ids.ts";
import type { Logger } from "../lib/logger.ts";
import { createLru } from "../lib/lru.ts";
import { Refusal } from "../protocol/error.ts";
import { hashToken } from "./tokens.ts";

export const MACHINE_KINDS = ["worker", "admin", "publish"] as const;
export type MachineKind = (typeof MACHINE_KINDS)[number];

/** What is kept of a token. Times are wall time in ms. */
export interface MachineToken {
  readonly id: string;
  readonly kind: MachineKind;
  /** What its maker calls it. */
  readonly name: string;
  /** Of a worker: the job types it may lease, `*` as a suffix wildcard; null: all. */
  readonly types: readonly string[] | null;
  /** Of a publisher: the rooms it may write to, likewise. */
  readonly rooms: readonly string[] | null;
  readonly createdAt: number;
  /** null: it has no end. */
  readonly expiresAt: number | null;
  /** Within a minute; null: never. */
  readonly lastUsedAt: number | null;
  readonly revokedAt: number | null;
}

/**
 * Where they are kept. Guarantees every driver gives (held by test/conformance/machine-tokens.ts): every call is atomic
 * and resolves when it is as durable as the store was configured; a read sees what any process has written before.
 */
export interface MachineTokenStore {
  /** `hash`: base64url SHA-256 of the secret, unique. */
  create(token: MachineToken, hash: string): Promise<void>;
  /** Living or not; null when it is unknown. */
  find(hash: string): Promise<MachineToken | null>;
  /** Newest first. */
  list(): Promise<readonly MachineToken[]>;
  used(id: string, at: number): Promise<void>;
  /** The token as it is then; null when it is unknown. An earlier revocation stands. */
  revoke(id: string, at: number): Promise<MachineToken | null>;
  /** Removes it without a trace. */
  remove(id: string): Promise<void>;
  /** Removes those that expired or were revoked before that time. */
  forget(endedBefore: number): Promise<void>;
}

const PREFIXES = { worker: "hlw_", admin: "hla_", publish: "hlp_" } as const satisfies Record<
  MachineKind,
  string
>;
const SECRET_BYTES = 32;
const SHAPE = /^(hl[wap]_[\w-]{43})([\w-]{6})$/;
/** Ended tokens stay in lists for a while, so that whoever looks for the reason finds it. */
const ENDED_KEPT_MS = 30 * 24 * 60 * 60 * 1000;
/** A revocation by another process holds at the latest after this. */
const FRESH_MS = 500;
const USED_MS = 60_000;
const REMEMBERED = 1000;

/** CRC-32 of the rest, so that a slip of the hand is told apart from a token that nobody made. */
function checksum(text: string): string {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, Bun.hash.crc32(text));
  return bytes.toBase64({ alphabet: "base64url", omitPadding: true });
}

/** A new secret: prefix, 32 random bytes, checksum. Looks like no other credential, also to scanners of source code. */
export function makeMachineSecret(kind: MachineKind, ids: Ids): string {
  const random = Uint8Array.fromHex(ids.hex(SECRET_BYTES));
  const text = PREFIXES[kind] + random.toBase64({ alphabet: "base64url", omitPadding: true });
  return text + checksum(text);
}

/** Whether a credential says of itself that it is a machine's; nothing is verified. */
export function looksLikeMachineToken(text: string): boolean {
  return Object.values(PREFIXES).some((prefix) => text.startsWith(prefix));
}

function isWhole(secret: string): boolean {
  const [, text, sum] = SHAPE.exec(secret) ?? [];
  return text !== undefined && checksum(text) === sum;
}

/** What ended it, by now; null while it lives. */
export function endOf(token: MachineToken, wallMs: number): "revoked" | "expired" | null {
  if (token.revokedAt !== null) return "revoked";
  return token.expiresAt !== null && token.expiresAt <= wallMs ? "expired" : null;
}

export interface IssueOptions {
  readonly store: MachineTokenStore;
  readonly clock: Clock;
  readonly ids: Ids;
}

export interface MachineTokenSpec extends Pick<MachineToken, "kind" | "name" | "types" | "rooms"> {
  /** null: no end. */
  readonly ttlMs: number | null;
}

/** Makes and stores a token. The secret is nowhere else: it can be shown once. */
export async function issueMachineToken(
  { store, clock, ids }: IssueOptions,
  { ttlMs, ...spec }: MachineTokenSpec,
): Promise<{ readonly secret: string; readonly token: MachineToken }> {
  const createdAt = Math.round(clock.wallMs());
  await store.forget(createdAt - ENDED_KEPT_MS);
  const secret = makeMachineSecret(spec.kind, ids);
  const token: MachineToken = {
    ...spec,
    id: ids.any(),
    createdAt,
    expiresAt: ttlMs === null ? null : createdAt + ttlMs,
    lastUsedAt: null,
    revokedAt: null,
  };
  await store.create(token, hashToken(secret));
  return { secret, token };
}

export interface MachineTokens {
  /**
   * The living token of a secret. Rejects: `unauthenticated` when it is mistyped or unknown, `token_expired`,
   * `token_revoked`. What another process changed is seen within a second.
   */
  read(secret: string): Promise<MachineToken>;
  /** Whether it was found alive a moment ago, so that reading it costs next to nothing. */
  remembers(secret: string): boolean;
}

export interface MachineTokensOptions {
  readonly store: MachineTokenStore;
  readonly clock: Clock;
  readonly logger: Logger;
}

export function createMachineTokens({ store, clock, logger }: MachineTokensOptions): MachineTokens {
  const known = createLru<string, { readonly token: MachineToken; readonly readMs: number }>(REMEMBERED);
  /** When a use was last written down, by id. */
  const noted = createLru<string, number>(REMEMBERED);

  const fresh = (hash: string): MachineToken | null => {
    const found = known.get(hash);
    return found !== undefined && clock.steadyMs() - found.readMs < FRESH_MS ? found.token : null;
  };

  const find = async (hash: string): Promise<MachineToken | null> => {
    const remembered = fresh(hash);
    if (remembered !== null) return remembered;
    const readMs = clock.steadyMs();
    const token = await store.find(hash);
    // Unknown ones are not remembered: a flood of them would push the known ones out.
    if (token !== null) known.set(hash, { token, readMs });
    return token;
  };

  const noteUse = ({ id, lastUsedAt }: MachineToken): void => {
    const at = Math.round(clock.wallMs());
    const before = Math.max(
      lastUsedAt ?? Number.NEGATIVE_INFINITY,
      noted.get(id) ?? Number.NEGATIVE_INFINITY,
    );
    // A wall clock that was set back must not silence it for as long.
    if (Math.abs(at - before) < USED_MS) return;
    noted.set(id, at);
    store.used(id, at).catch((error: unknown) => logger.warn({ error }, "a use of a token was not written"));
  };

  return {
    remembers: (secret) => fresh(hashToken(secret)) !== null,

    async read(secret) {
      if (!isWhole(secret)) {
        throw new Refusal("unauthenticated", "The machine token is mistyped or cut short.");
      }
      const token = await find(hashToken(secret));
      if (token === null) throw new Refusal("unauthenticated", "The machine token is not known here.");
      const end = endOf(token, clock.wallMs());
      if (end === "revoked") throw new Refusal("token_revoked", "The machine token was revoked.");
      if (end === "expired") throw new Refusal("token_expired", "The machine token has expired.");
      noteUse(token);
      return token;
    },
  };
}
