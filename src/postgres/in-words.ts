/** Why a PostgreSQL server cannot be used at a start, in a sentence that says what to do; never with the password. */
import { Obstacle } from "../lib/mistakes.ts";
import { stateOf } from "./connection.ts";

/** The URL without its password, as messages name it. */
export function placeOf(databaseUrl: string): string {
  const url = new URL(databaseUrl);
  return `${url.host}${url.pathname}`;
}

const SETTING = "HOLDLINE_DATABASE_URL";

/** What to do, by SQLSTATE (PostgreSQL, appendix A) or by the code of the client. */
const ADVICE: Readonly<Record<string, string>> = {
  ERR_POSTGRES_CONNECTION_REFUSED: `does it run, and is this its address (${SETTING})?`,
  ERR_POSTGRES_CONNECTION_TIMEOUT: `is it PostgreSQL that listens there, and does a firewall let you through (${SETTING})?`,
  ERR_POSTGRES_CONNECTION_CLOSED: `it ended the connection: is it PostgreSQL that listens there (${SETTING})?`,
  ERR_POSTGRES_TLS_NOT_AVAILABLE: "switch TLS on there (ssl = on), or take sslmode out of the URL",
  "28P01": `look at the user and the password in ${SETTING}`,
  "28000": `look at the user in ${SETTING}, and at pg_hba.conf there`,
  "3D000": `make it (createdb), or look at the name in ${SETTING}`,
  "42501":
    "give the user a database of its own (CREATE DATABASE … OWNER …), or let it make tables in this one",
  "25006": `it is a standby, and takes no writes: name the primary in ${SETTING}`,
  "53300": "raise max_connections there: each node holds 10",
  "57P03": "wait until it has started",
};

function adviceFor(error: unknown): string {
  const advice = ADVICE[stateOf(error) ?? ""] ?? ADVICE[String((error as { code?: unknown }).code)];
  return advice === undefined ? "" : `: ${advice}`;
}

/** Rejects with an Obstacle for what the server or the network says, and as `reach` does for anything else. */
export async function inWords<Result>(databaseUrl: string, reach: Promise<Result>): Promise<Result> {
  try {
    return await reach;
  } catch (error) {
    const code = String((error as { code?: unknown }).code);
    if (!code.startsWith("ERR_POSTGRES")) throw error;
    const said = error instanceof Error ? error.message : code;
    throw new Obstacle(`PostgreSQL at ${placeOf(databaseUrl)}: ${said}${adviceFor(error)}`, { cause: error });
  }
}
