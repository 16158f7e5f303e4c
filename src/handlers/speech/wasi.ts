/**
 * Runs one WASI command (wasi_snapshot_preview1) with arguments and one file to write: the whole operating system that
 * the speech synthesizer gets to see. There is no file to read, no network, no environment, and time stands still, so
 * the same arguments always give the same bytes, which is what a run that is repeated wants.
 *
 * Only the thirteen calls that Flite imports are here. Numbers of errors and flags are those of the WASI preview 1
 * specification (`errno`, `filetype`, `oflags`, `whence`).
 */

const SUCCESS = 0;
const BAD_DESCRIPTOR = 8;
const NO_SUCH_FILE = 44;
const NO_SPACE = 51;
const NOT_SEEKABLE = 70;

const FILETYPE_CHARACTER_DEVICE = 2;
const FILETYPE_DIRECTORY = 3;
const FILETYPE_REGULAR = 4;
const OFLAGS_CREATE = 1;

/** Descriptors: 0–2 are the standard streams, 3 is the folder "/", 4 the one file that can be made in it. */
const STANDARD_ERROR = 2;
const FOLDER = 3;
const FILE = 4;

/** What the command may say on standard error before the rest is dropped. */
const COMPLAINT_BYTES = 2048;

/** Thrown through the WebAssembly frames when the command calls exit: there is no other way back out of it. */
class Exit extends Error {
  readonly status: number;
  constructor(status: number) {
    super(`exit ${status}`);
    this.status = status;
  }
}

/** A file that grows as it is written, in steps that double. */
interface GrowingFile {
  write(bytes: Uint8Array): boolean;
  seek(offset: number, whence: number): number;
  contents(): Uint8Array;
}

function createFile(mostBytes: number): GrowingFile {
  let bytes = new Uint8Array(64 * 1024);
  let length = 0;
  let position = 0;
  return {
    write(chunk) {
      const end = position + chunk.length;
      if (end > mostBytes) return false;
      if (end > bytes.length) {
        const larger = new Uint8Array(Math.max(end, bytes.length * 2));
        larger.set(bytes.subarray(0, length));
        bytes = larger;
      }
      bytes.set(chunk, position);
      position = end;
      length = Math.max(length, end);
      return true;
    },
    seek(offset, whence) {
      const origin = [0, position, length][whence] ?? 0;
      position = Math.max(0, origin + offset);
      return position;
    },
    contents: () => bytes.subarray(0, length),
  };
}

export interface CommandOutcome {
  /** Exit status of the command; 0 = it says it went well. */
  readonly status: number;
  /** What it wrote to the file; empty if it never made one. */
  readonly file: Uint8Array;
  /** The beginning of what it wrote to standard error. */
  readonly complaint: string;
}

export interface Command {
  readonly module: WebAssembly.Module;
  /** `argv`, the program's own name first. */
  readonly args: readonly string[];
  /** Writing past this many bytes fails like a full disk. */
  readonly fileBytes: number;
}

/**
 * Runs the command to its end in a new instance and returns what it left behind.
 * @throws WebAssembly.RuntimeError when it traps (out of memory, stack, unreachable code).
 */
export function runCommand(command: Command): CommandOutcome {
  const file = createFile(command.fileBytes);
  const complaint: number[] = [];
  const memory: { current: WebAssembly.Memory | null } = { current: null };
  const instance = new WebAssembly.Instance(command.module, {
    wasi_snapshot_preview1: systemCalls(command.args, file, complaint, memory),
  });
  memory.current = instance.exports["memory"] as WebAssembly.Memory;
  let status = 0;
  try {
    (instance.exports["_start"] as () => void)();
  } catch (error) {
    if (!(error instanceof Exit)) throw error;
    status = error.status;
  }
  return {
    status,
    file: file.contents(),
    complaint: new TextDecoder().decode(Uint8Array.from(complaint)),
  };
}

type SystemCall = (...values: never[]) => number;

function systemCalls(
  args: readonly string[],
  file: GrowingFile,
  complaint: number[],
  memory: { readonly current: WebAssembly.Memory | null },
): Record<string, SystemCall> {
  const encoded = args.map((arg) => new TextEncoder().encode(`${arg}\0`));
  // Looked up on each call: the buffer is another one after the memory has grown.
  const bytes = (): Uint8Array => new Uint8Array(memory.current?.buffer ?? new ArrayBuffer(0));
  const view = (): DataView => new DataView(memory.current?.buffer ?? new ArrayBuffer(0));
  const setWord = (at: number, value: number): void => view().setUint32(at, value, true);
  const setLong = (at: number, value: bigint): void => view().setBigUint64(at, value, true);

  return {
    args_sizes_get(countAt: number, sizeAt: number): number {
      setWord(countAt, encoded.length);
      setWord(
        sizeAt,
        encoded.reduce((sum, arg) => sum + arg.length, 0),
      );
      return SUCCESS;
    },
    args_get(pointersAt: number, textAt: number): number {
      let at = textAt;
      for (const [index, arg] of encoded.entries()) {
        setWord(pointersAt + 4 * index, at);
        bytes().set(arg, at);
        at += arg.length;
      }
      return SUCCESS;
    },
    clock_time_get(_clock: number, _precision: bigint, timeAt: number): number {
      setLong(timeAt, 0n);
      return SUCCESS;
    },
    fd_close: (): number => SUCCESS,
    fd_fdstat_set_flags: (): number => SUCCESS,
    fd_fdstat_get(descriptor: number, statAt: number): number {
      if (descriptor > FILE) return BAD_DESCRIPTOR;
      bytes().fill(0, statAt, statAt + 24);
      view().setUint8(statAt, filetypeOf(descriptor));
      // All rights: the command is asked for nothing that it could misuse them for.
      setLong(statAt + 8, 0x1fff_ffffn);
      setLong(statAt + 16, 0x1fff_ffffn);
      return SUCCESS;
    },
    fd_prestat_get(descriptor: number, prestatAt: number): number {
      if (descriptor !== FOLDER) return BAD_DESCRIPTOR;
      setWord(prestatAt, 0);
      setWord(prestatAt + 4, 1);
      return SUCCESS;
    },
    fd_prestat_dir_name(descriptor: number, nameAt: number): number {
      if (descriptor !== FOLDER) return BAD_DESCRIPTOR;
      bytes().set([0x2f], nameAt);
      return SUCCESS;
    },
    path_open(
      _folder: number,
      _lookup: number,
      _pathAt: number,
      _pathBytes: number,
      flags: number,
      _rights: bigint,
      _inheriting: bigint,
      _descriptorFlags: number,
      descriptorAt: number,
    ): number {
      if ((flags & OFLAGS_CREATE) === 0) return NO_SUCH_FILE;
      setWord(descriptorAt, FILE);
      return SUCCESS;
    },
    fd_read(_descriptor: number, _vectorsAt: number, _vectors: number, readAt: number): number {
      setWord(readAt, 0);
      return SUCCESS;
    },
    fd_seek(descriptor: number, offset: bigint, whence: number, positionAt: number): number {
      if (descriptor !== FILE) return NOT_SEEKABLE;
      setLong(positionAt, BigInt(file.seek(Number(offset), whence)));
      return SUCCESS;
    },
    fd_write(descriptor: number, vectorsAt: number, vectors: number, writtenAt: number): number {
      let written = 0;
      for (let index = 0; index < vectors; index += 1) {
        const at = view().getUint32(vectorsAt + 8 * index, true);
        const length = view().getUint32(vectorsAt + 8 * index + 4, true);
        const chunk = bytes().subarray(at, at + length);
        if (descriptor === FILE && !file.write(chunk)) return NO_SPACE;
        if (descriptor === STANDARD_ERROR)
          complaint.push(...chunk.subarray(0, COMPLAINT_BYTES - complaint.length));
        written += length;
      }
      setWord(writtenAt, written);
      return SUCCESS;
    },
    proc_exit(status: number): number {
      throw new Exit(status);
    },
  };
}

function filetypeOf(descriptor: number): number {
  if (descriptor === FILE) return FILETYPE_REGULAR;
  return descriptor === FOLDER ? FILETYPE_DIRECTORY : FILETYPE_CHARACTER_DEVICE;
}
