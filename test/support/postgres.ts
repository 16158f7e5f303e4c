/** A PostgreSQL server of a test's own: a private cluster in a temporary folder, on a free port of the loopback. */
import { chownSync } from "node:fs";
import { appendFile, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SQL } from "bun";
import { requireService } from "../services.ts";
import { freePort } from "./free-port.ts";

const PROGRAMS = [
  ...new Bun.Glob("usr/lib/postgresql/*/bin").scanSync({ cwd: "/", onlyFiles: false }),
].toSorted();

/** PostgreSQL does not run as root: as root its programs run as the user that the package made. */
const AS_OTHER = process.getuid?.() === 0 ? ["runuser", "-u", "postgres", "--"] : [];

async function run(program: string, ...given: string[]): Promise<void> {
  const child = Bun.spawn([...AS_OTHER, `/${PROGRAMS.at(-1)}/${program}`, ...given], {
    stdout: "ignore",
    stderr: "pipe",
    env: { ...process.env, LC_ALL: "C" },
    cwd: "/",
  });
  const said = await new Response(child.stderr).text();
  if ((await child.exited) !== 0) throw new Error(`${program}: ${said}`);
}

export interface PostgresServer {
  /** A new, empty database. */
  database(): Promise<string>;
  /** Statements by somebody else, on a connection of the moment. */
  query(url: string, text: string): Promise<Record<string, unknown>[]>;
  /** `immediate`: as if it had been killed. */
  halt(how?: "fast" | "immediate"): Promise<void>;
  resume(): Promise<void>;
  /** Process id of its postmaster. */
  pid(): Promise<number>;
  remove(): Promise<void>;
}

/** `alsoAt`: one more address that it listens at, open to whoever is there. */
export async function startPostgres({ alsoAt }: { readonly alsoAt?: string } = {}): Promise<PostgresServer> {
  requireService("postgresql");
  const folder = await mkdtemp(join(tmpdir(), "holdline-postgres-"));
  const data = join(folder, "data");
  if (AS_OTHER.length > 0) {
    const [, uid = "", gid = ""] =
      /^postgres:[^:]*:(\d+):(\d+):/m.exec(await Bun.file("/etc/passwd").text()) ?? [];
    chownSync(folder, Number(uid), Number(gid));
  }
  await run("initdb", "-D", data, "-A", "trust", "-U", "holdline", "-E", "UTF8", "--locale=C", "--no-sync");
  if (alsoAt !== undefined) await appendFile(join(data, "pg_hba.conf"), "host all all samenet trust\n");
  const addresses = ["127.0.0.1", ...(alsoAt === undefined ? [] : [alsoAt])].join(",");
  const port = await freePort();
  // Its own data is not what is tested, so its disk need not be waited for; nothing but the machine's end would tell.
  const options = `-p ${port} -c listen_addresses=${addresses} -c unix_socket_directories= -c fsync=off -c shared_buffers=16MB`;
  const resume = (): Promise<void> =>
    run("pg_ctl", "-w", "-D", data, "-l", join(folder, "log"), "-o", options, "start");
  const halt = (how: "fast" | "immediate" = "immediate"): Promise<void> =>
    run("pg_ctl", "-w", "-D", data, "-m", how, "stop");
  await resume();
  let databases = 0;
  const urlOf = (name: string): string => `postgres://holdline@127.0.0.1:${port}/${name}`;
  const query = async (url: string, text: string): Promise<Record<string, unknown>[]> => {
    const sql = new SQL({ url, max: 1 });
    try {
      return [...((await sql.unsafe(text)) as Record<string, unknown>[])];
    } finally {
      await sql.close({ timeout: 0 });
    }
  };
  return {
    async database() {
      databases += 1;
      await query(urlOf("postgres"), `CREATE DATABASE test_${databases} TEMPLATE template0`);
      return urlOf(`test_${databases}`);
    },
    query,
    halt,
    resume,
    pid: async () => Number((await Bun.file(join(data, "postmaster.pid")).text()).split("\n", 1)[0]),
    async remove() {
      await halt().catch(() => {});
      await rm(folder, { recursive: true, force: true });
    },
  };
}
