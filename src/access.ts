/** Wires everything that decides who may come in: keys, tokens, sessions, revocations, the gate. A part of app.ts. */
import type { Config } from "./config.ts";
import type { Clock } from "./lib/clock.ts";
import type { Ids } from "./lib/ids.ts";
import type { Logger } from "./lib/logger.ts";
import { createGate, type Gate } from "./sessions/gate.ts";
import { openSigningKeys } from "./sessions/keys/keys.ts";
import type { KeyStore } from "./sessions/keys/store.ts";
import { createMachineTokens, type MachineTokenStore } from "./sessions/machine-tokens.ts";
import { rememberSessions } from "./sessions/remembered.ts";
import { createRevocations, type Revocations } from "./sessions/revocations.ts";
import type { RevocationStore } from "./sessions/revocations/store.ts";
import { createSessions, type Sessions } from "./sessions/sessions.ts";
import { createSessionTokens, type SessionTokens } from "./sessions/tokens.ts";
import { createUserTokens, type UserKeySource, type UserTokens } from "./sessions/user-tokens.ts";
import type { SessionOutage } from "./sessions/outage.ts";
import type { SessionStore } from "./sessions/store.ts";

/** Whoever can tell genuine tokens from others. */
export interface Tokens {
  readonly sessionTokens: SessionTokens;
  /** null in open mode. */
  readonly userTokens: UserTokens | null;
  /** Notices changed keys, until `stop`. */
  start(): void;
  stop(): void;
}

export interface TokensOptions {
  readonly config: Config;
  readonly signingKeys: KeyStore;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly logger: Logger;
}

export interface AccessOptions {
  readonly config: Config;
  readonly tokens: Tokens;
  readonly sessions: SessionStore;
  readonly sessionOutage: SessionOutage;
  readonly revocations: RevocationStore;
  readonly machineTokens: MachineTokenStore;
  readonly nodeId: string;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly logger: Logger;
}

export interface Access {
  readonly sessions: Sessions;
  readonly gate: Gate;
  readonly revocations: Revocations;
  /** Rejects when sessions cannot be brought to what they are after a restart. */
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** Where user tokens are verified; null in open mode. The configuration has exactly one of them at most. */
function keySource({ authSecret, authPublicKey, authJwksUrl }: Config): UserKeySource | null {
  if (authSecret !== null) return { kind: "secret", secret: authSecret };
  if (authPublicKey !== null) return { kind: "pem", pem: authPublicKey };
  return authJwksUrl === null ? null : { kind: "jwks", url: authJwksUrl };
}

/** Rejects when the keys cannot be read. */
export async function openTokens(options: TokensOptions): Promise<Tokens> {
  const { config, signingKeys, clock, ids, logger } = options;
  const keys = await openSigningKeys({ store: signingKeys, clock, logger });
  const issuer = config.publicUrl ?? "holdline";
  const sessionTokens = createSessionTokens({ keys, clock, ids, issuer, lifeMs: config.sessionTokenMs });
  const source = keySource(config);
  const { authIssuer, authAudience } = config;
  const userTokens =
    source === null
      ? null
      : await createUserTokens({ source, issuer: authIssuer, audience: authAudience, clock, fetch });
  return { sessionTokens, userTokens, start: () => keys.start(), stop: () => keys.stop() };
}

/** Rejects when the revocations cannot be read: nobody is let in on a guess. */
export async function openAccess(options: AccessOptions): Promise<Access> {
  const { config, nodeId, clock, ids, logger } = options;
  const { sessionTokens, userTokens } = options.tokens;
  const { resumeMs, sessionTokenMs, userSessions, roomsMax } = config;
  const store = rememberSessions(options.sessions, clock, options.sessionOutage);
  const revocations = createRevocations(options.revocations);
  await revocations.load();
  const sessions = createSessions({
    store,
    tokens: sessionTokens,
    clock,
    ids,
    logger,
    nodeId,
    resumeMs,
    userSessions,
    roomsMax,
    tokenLifeMs: sessionTokenMs,
    onSweep: (wallMs) => revocations.forget(wallMs),
  });
  const gate = createGate({
    userTokens,
    sessionTokens,
    machineTokens: createMachineTokens({ store: options.machineTokens, clock, logger }),
    sessions,
    revocations,
    clock,
    cookie: config.authCookie,
    strict: config.authBinding === "strict",
    resumeMs,
  });
  return {
    sessions,
    gate,
    revocations,
    async start() {
      options.tokens.start();
      await sessions.start();
    },
    async stop() {
      options.tokens.stop();
      await sessions.stop();
    },
  };
}
