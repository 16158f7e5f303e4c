/** The name and the secret of an installation, made by whichever of its processes asks first. */
import { createIds, type Ids } from "../lib/ids.ts";
import type { Installation, NodeStore } from "./store.ts";

const NAME_BYTES = 6;
const SECRET_BYTES = 32;

export function findInstallation(
  nodes: Pick<NodeStore, "installation">,
  ids: Pick<Ids, "hex"> = createIds(),
): Promise<Installation> {
  return nodes.installation({ name: ids.hex(NAME_BYTES), secret: ids.hex(SECRET_BYTES) });
}
