/** The operator's side of a test server: commands on its data folder while it runs, and its admin API. */
import { holdline, type Outcome } from "../cli/holdline.ts";
import { apiOf, type Api } from "./http.ts";
import type { TestServer } from "./server.ts";

type Place = Pick<TestServer, "dataFolder" | "port">;

/** `holdline ARGUMENTS` with the settings that say where the server is. */
export function operate(
  { dataFolder, port }: Place,
  argv: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Outcome> {
  return holdline(argv, { env: { HOLDLINE_DATA_DIR: dataFolder, HOLDLINE_PORT: String(port), ...env } });
}

/** The same in JSON, for what must work. */
export async function operateJson<Body>(server: Place, argv: readonly string[]): Promise<Body> {
  const { code, out, err } = await operate(server, [...argv, "--json"]);
  if (code !== 0) throw new Error(`holdline ${argv.join(" ")}: ${code} ${err}`);
  return JSON.parse(out) as Body;
}

export interface IssuedBody {
  token: string;
  id: string;
  scope: Record<string, unknown>;
}

/** A new machine token, as the command line makes it. */
export function issueToken(
  server: Place,
  kind: "worker" | "admin" | "publish",
  ...flags: string[]
): Promise<IssuedBody> {
  return operateJson(server, ["token", kind, ...flags]);
}

/** The API as an operator sees it. */
export async function adminOf(server: TestServer): Promise<Api> {
  return apiOf(server, (await issueToken(server, "admin")).token);
}
