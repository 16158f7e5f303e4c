/**
 * Programs of the operating system that some tests cannot do without: how to see that one is there, which Debian
 * package brings it, and what needs it. One line each; a missing one fails what needs it, it never skips it.
 */
import { Glob } from "bun";

export interface Service {
  readonly name: string;
  /** Program on the PATH, or a pattern of absolute paths, any match of which proves that it is installed. */
  readonly proof: string;
  readonly debianPackage: string;
  /** Folders or files under test/ that need it. */
  readonly neededBy: readonly string[];
}

export const SERVICES: readonly Service[] = [
  {
    name: "libfaketime",
    proof: "/usr/lib/*/faketime/libfaketime.so.1",
    debianPackage: "libfaketime",
    neededBy: ["faults/", "postgres/clock"],
  },
  { name: "chromium", proof: "chromium", debianPackage: "chromium", neededBy: ["browser/"] },
  {
    name: "python3",
    proof: "python3",
    debianPackage: "python3-minimal",
    neededBy: ["workers/", "soak/workers"],
  },
  {
    name: "postgresql",
    proof: "/usr/lib/postgresql/*/bin/initdb",
    debianPackage: "postgresql",
    neededBy: [
      "postgres/",
      "cluster/",
      "proxies/",
      "redis/processes.test.ts",
      "soak/cluster",
      "soak/node-death",
    ],
  },
  { name: "nginx", proof: "nginx", debianPackage: "nginx-light", neededBy: ["proxies/"] },
  { name: "haproxy", proof: "haproxy", debianPackage: "haproxy", neededBy: ["proxies/"] },
  { name: "caddy", proof: "caddy", debianPackage: "caddy", neededBy: ["proxies/"] },
  {
    name: "redis",
    proof: "redis-server",
    debianPackage: "redis-server",
    neededBy: [
      "postgres/clock",
      "redis/",
      "cluster/",
      "proxies/",
      "soak/redis",
      "soak/cluster",
      "soak/node-death",
      "conformance/backplane-redis.test.ts",
    ],
  },
  { name: "openssl", proof: "openssl", debianPackage: "openssl", neededBy: ["redis/tls", "soak/redis"] },
  { name: "iproute2", proof: "ip", debianPackage: "iproute2", neededBy: ["soak/cluster"] },
  { name: "nftables", proof: "nft", debianPackage: "nftables", neededBy: ["soak/cluster"] },
  {
    name: "strace",
    proof: "strace",
    debianPackage: "strace",
    neededBy: ["faults/disk/", "faults/window.test.ts"],
  },
];

export function isPresent(service: Service): boolean {
  if (!service.proof.startsWith("/")) return Bun.which(service.proof) !== null;
  const matches = new Glob(service.proof.slice(1)).scanSync({ cwd: "/", onlyFiles: false });
  return matches.next().done !== true;
}

/** Services that these test files (paths under test/) need and that are not here. */
export function missingFor(testFiles: readonly string[], services: readonly Service[] = SERVICES): Service[] {
  return services.filter(
    (service) =>
      testFiles.some((file) => service.neededBy.some((place) => file.startsWith(place))) &&
      !isPresent(service),
  );
}

/** What to tell somebody who may install them and we may not. */
export function missingMessage(missing: readonly Service[]): string {
  const names = missing.map((service) => service.name).join(", ");
  const packages = missing.map((service) => service.debianPackage).join(" ");
  return `missing: ${names}. Install with: apt-get update && apt-get install -y --no-install-recommends ${packages}`;
}

/** For a test that needs a service: throws the message above when it is not there. */
export function requireService(name: string, services: readonly Service[] = SERVICES): void {
  const service = services.find((known) => known.name === name);
  if (service === undefined) throw new Error(`test/services.ts knows no ${name}`);
  if (!isPresent(service)) throw new Error(missingMessage([service]));
}
