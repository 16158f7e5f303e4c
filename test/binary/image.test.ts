/**
 * The image that the Dockerfile describes, without an engine to build it: its last stage is read, laid out as a root
 * file system with glibc and nothing else, and entered as the user it names, read-only but for its volume.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { chmod, chown, copyFile, mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { buildBinary, ROOT } from "../support/binary.ts";
import { connect } from "../support/client.ts";
import { apiOf, tokensBody } from "../support/http.ts";
import { within } from "../support/wait.ts";

/** What the last stage says, as far as it decides how the program runs. */
interface Stage {
  readonly copies: readonly { readonly from: string; readonly to: string; readonly options: string }[];
  readonly environment: Readonly<Record<string, string>>;
  readonly user: string;
  readonly volume: string;
  readonly workdir: string;
  readonly entrypoint: readonly string[];
  readonly command: readonly string[];
  readonly healthcheck: readonly string[];
}

function readLastStage(dockerfile: string): Stage {
  const joined = dockerfile.replaceAll(/\\\n\s*/g, "");
  const stage = joined.slice(joined.lastIndexOf("\nFROM "));
  const valueOf = (word: string): string => new RegExp(`^${word} (.+)$`, "m").exec(stage)?.[1] ?? "";
  const arrayOf = (text: string): string[] => JSON.parse(/\[.+\]$/.exec(text)?.[0] ?? "[]") as string[];
  return {
    copies: [...stage.matchAll(/^COPY ((?:--\S+ )+)(\S+) (\S+)$/gm)].map(
      ([, options = "", from = "", to = ""]) => ({ from, to, options }),
    ),
    environment: Object.fromEntries(
      valueOf("ENV")
        .split(/\s+/)
        .map((pair) => pair.split("=", 2) as [string, string]),
    ),
    user: valueOf("USER"),
    volume: valueOf("VOLUME"),
    workdir: valueOf("WORKDIR"),
    entrypoint: arrayOf(valueOf("ENTRYPOINT")),
    command: arrayOf(valueOf("CMD")),
    healthcheck: arrayOf(valueOf("HEALTHCHECK")),
  };
}

let built = "";
let root = "";
let stage: Stage;

/** The shared libraries of a program: what the base image brings. */
function librariesOf(program: string): string[] {
  const printed = Bun.spawnSync(["ldd", program]).stdout.toString();
  return [...printed.matchAll(/(\/\S+) \(0x/g)].map(([, path = ""]) => path);
}

async function layOut(): Promise<void> {
  const [userId, groupId] = stage.user.split(":").map(Number);
  for (const { from, to, options } of stage.copies) {
    const target = join(root, to);
    await mkdir(dirname(target), { recursive: true });
    if (from === stage.volume) await mkdir(target);
    else await copyFile(join(built, basename(from)), target);
    const mode = /--chmod=(\d+)/.exec(options)?.[1];
    if (mode !== undefined) await chmod(target, Number.parseInt(mode, 8));
    if (options.includes(`--chown=${stage.user}`)) await chown(target, userId ?? 0, groupId ?? 0);
  }
  for (const library of librariesOf(join(root, stage.entrypoint[0] ?? ""))) {
    await mkdir(join(root, dirname(library)), { recursive: true });
    await copyFile(library, join(root, library));
  }
  for (const place of ["proc", "dev"]) await mkdir(join(root, place));
}

beforeAll(async () => {
  stage = readLastStage(await Bun.file(join(ROOT, "Dockerfile")).text());
  built = await buildBinary();
  root = await mkdtemp(join(tmpdir(), "holdline-image-"));
  await chmod(root, 0o755);
  await layOut();
}, 120_000);

const entered: Bun.Subprocess[] = [];

afterAll(async () => {
  // A test that failed half-way leaves nothing running.
  for (const child of entered) child.kill("SIGKILL");
  await rm(built, { recursive: true, force: true });
  await rm(root, { recursive: true, force: true });
});

/** Mounts as an engine does for `--read-only`, in a mount namespace that ends with the program. */
const ENTER = `
mount --bind "$ROOT" "$ROOT"
mount --bind "$ROOT$VOLUME" "$ROOT$VOLUME"
mount -t proc proc "$ROOT/proc"
mount --bind /dev "$ROOT/dev"
mount -o remount,bind,ro "$ROOT"
exec unshare --root="$ROOT" --wd="$WORKDIR" --setgid="\${IMAGE_USER#*:}" --setuid="\${IMAGE_USER%:*}" "$@"
`;

/** Starts a program of the image, on loopback. Its process id is the one of the subprocess: every step is an exec. */
function enter(command: readonly string[], environment: Readonly<Record<string, string>> = {}) {
  const child = Bun.spawn(["unshare", "--mount", "sh", "-eu", "-c", ENTER, "enter", ...command], {
    env: {
      PATH: process.env["PATH"] ?? "",
      ROOT: root,
      VOLUME: stage.volume,
      WORKDIR: stage.workdir,
      IMAGE_USER: stage.user,
      ...stage.environment,
      // The engine gives the container a network of its own; here it is the machine's.
      HOLDLINE_HOST: "127.0.0.1",
      ...environment,
    },
    stdout: "pipe",
    stderr: "pipe",
  });
  entered.push(child);
  return child;
}

async function listening(child: ReturnType<typeof enter>): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of child.stdout) {
    text += decoder.decode(chunk, { stream: true });
    const line = text.split("\n").find((one) => one.includes('"listening"') && one.endsWith("}"));
    if (line !== undefined) return (JSON.parse(line) as { url: string }).url;
  }
  throw new Error(`it ended before it listened: ${text}${await new Response(child.stderr).text()}`);
}

/** Every path below the root but for the volume and what the kernel shows. */
async function pathsOutside(): Promise<string[]> {
  const paths = await readdir(root, { recursive: true });
  return paths.filter((path) => !/^(data|proc|dev)\//.test(path)).toSorted();
}

test("S54 the image runs as nobody in particular on a read-only root, and does the main job", async () => {
  const before = await pathsOutside();
  const child = enter([...stage.entrypoint, ...stage.command], { HOLDLINE_PORT: "0" });
  const url = await within("the image to listen", listening(child), 20_000);

  const status = await Bun.file(`/proc/${child.pid}/status`).text();
  expect(/^Uid:\t(.+)$/m.exec(status)?.[1]).toBe("65532\t65532\t65532\t65532");
  expect(/^Gid:\t(.+)$/m.exec(status)?.[1]).toBe("65532\t65532\t65532\t65532");
  expect(/^CapEff:\t(.+)$/m.exec(status)?.[1]).toBe("0000000000000000");
  const mounts = await Bun.file(`/proc/${child.pid}/mounts`).text();
  expect(mounts.split("\n").find((line) => line.split(" ")[1] === "/")).toContain(" ro,");

  await using client = await connect({ url });
  const api = apiOf({ url }, client.token);
  const job = await api.submit(tokensBody({ tokens: 5, audioBytes: 64 }));
  expect((await client.waitForEnd(job.id)).kind).toBe("job.succeeded");
  const voice = await api.submit({
    type: "voice",
    input: { messages: [{ role: "user", content: "Hello." }] },
  });
  expect((await client.waitForEnd(voice.id)).kind).toBe("job.succeeded");
  expect(client.events(voice.id).some(({ kind }) => kind === "output.audio")).toBe(true);

  const health = enter(stage.healthcheck, { HOLDLINE_PORT: new URL(url).port });
  expect(await health.exited).toBe(0);

  child.kill("SIGTERM");
  expect(await child.exited).toBe(0);
  expect(await pathsOutside()).toEqual(before);
  expect(await readdir(join(root, stage.volume))).toContain("holdline.db");
}, 60_000);

test("S54 what the image cannot write to, it says", async () => {
  const child = enter([...stage.entrypoint, ...stage.command], {
    HOLDLINE_PORT: "0",
    HOLDLINE_DATA_DIR: "/elsewhere",
  });
  expect(await within("the image to give up", child.exited, 20_000)).toBeGreaterThan(0);
  expect(await new Response(child.stderr).text()).toContain("/elsewhere");
});
