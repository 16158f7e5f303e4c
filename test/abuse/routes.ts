/** Every address of a server, as its own contract lists them: so that a route that comes later is attacked as well. */
import { call } from "../support/http.ts";

export interface Address {
  readonly method: string;
  /** With an unknown id where one belongs. */
  readonly path: string;
}

const UNKNOWN_ID = "01890a5d-ac96-774b-bcce-b302099a8057";

/** Methods and paths of /openapi.json, and the pages beside it. */
export async function addressesOf(server: { readonly url: string }): Promise<Address[]> {
  const { body } = await call<{ paths: Record<string, Record<string, unknown>> }>(
    "GET",
    `${server.url}/openapi.json`,
  );
  const listed = Object.entries(body.paths).flatMap(([path, methods]) =>
    Object.keys(methods)
      .filter((method) => ["get", "post", "delete"].includes(method))
      .map((method) => ({ method: method.toUpperCase(), path: path.replaceAll(/\{\w+\}/g, UNKNOWN_ID) })),
  );
  if (listed.length < 20) throw new Error(`/openapi.json lists ${listed.length} addresses only`);
  return [...listed, { method: "GET", path: "/" }, { method: "GET", path: "/nothing" }];
}
