import { createHash, randomBytes } from 'node:crypto';
import { mkdir, readdir, realpath, rm, stat } from 'node:fs/promises';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface DataDirLock {
  release(): Promise<void>;
}

/** Another live process holds the folder. The message says what to do. */
export class DataDirInUse extends Error {
  override readonly name = 'DataDirInUse';
}

const NAME = /^lock-[0-9a-f]{8}\.sock$/;
/** A socket's path may be 104 bytes long on macOS and 108 on Linux, with its end. */
const MAX_PATH_BYTES = 100;
const NAME_BYTES = 'lock-00000000.sock'.length + 1;
/** Two that start in the same moment see each other and both step back; so often they try again. */
const ATTEMPTS = 20;
const MAX_PAUSE_MS = 50;
/** A holder that is stopped (SIGSTOP) accepts, because its kernel does, and never answers. */
const ANSWER_MS = 1_000;

const HELD = 'held';
const ASKING = 'asking';

/**
 * Makes this process the only one that uses `dir`. A lock is a socket of a name of its own that its process listens on:
 * the kernel closes it with the process, however that ends, so a lock left behind is known at once by nobody answering.
 * Each listens first and looks for others then, so of two, at least the later one sees the other.
 * Throws `DataDirInUse` if another live process has it.
 */
export async function lockDataDir(dir: string): Promise<DataDirLock> {
  await mkdir(dir, { recursive: true });
  const folder = await socketFolder(await realpath(dir));
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const lock = await Contender.listen(folder);
    try {
      if (await lock.tryHold(dir)) return lock;
    } catch (error) {
      await lock.release();
      throw error;
    }
    await lock.release();
    await new Promise((resolve) => setTimeout(resolve, Math.random() * MAX_PAUSE_MS));
  }
  throw inUse(dir);
}

const inUse = (dir: string): DataDirInUse =>
  new DataDirInUse(
    `${dir} is in use by another process. Its counters and ledger belong to one process at a time: stop that process, ` +
      'set DATA_DIR to another folder, or set REDIS_URL and DATABASE_URL to share them between processes.',
  );

/** The folder itself, or, where its path is too long for a socket, one that every process finds by the folder's name. */
async function socketFolder(dir: string): Promise<string> {
  if (Buffer.byteLength(dir) + NAME_BYTES <= MAX_PATH_BYTES) return dir;
  const hash = createHash('sha256').update(dir).digest('hex').slice(0, 16);
  const folder = join(tmpdir(), `openclaw-rating-${hash}`);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  return folder;
}

class Contender implements DataDirLock {
  readonly #folder: string;
  readonly #name: string;
  readonly #server: Server;
  #answer = ASKING;

  private constructor(folder: string, name: string) {
    this.#folder = folder;
    this.#name = name;
    this.#server = createServer((socket) => {
      socket.on('error', () => {});
      socket.end(this.#answer);
    });
    this.#server.unref();
  }

  static async listen(folder: string): Promise<Contender> {
    const contender = new Contender(folder, `lock-${randomBytes(4).toString('hex')}.sock`);
    await new Promise<void>((resolve, reject) => {
      contender.#server.once('error', reject).listen(join(folder, contender.#name), resolve);
    });
    return contender;
  }

  /** False if another one is asking at the same time. */
  async tryHold(dir: string): Promise<boolean> {
    const others = (await readdir(this.#folder)).filter((name) => NAME.test(name) && name !== this.#name);
    const answers = await Promise.all(others.map((name) => ask(join(this.#folder, name))));
    if (answers.includes(HELD)) throw inUse(dir);
    if (answers.includes(ASKING)) return false;
    // One that asked before this one listened may have taken this socket for a dead one's and removed it.
    if (!(await exists(join(this.#folder, this.#name)))) return false;
    this.#answer = HELD;
    for (const name of others) await rm(join(this.#folder, name), { force: true });
    return true;
  }

  /** Closing removes the socket from the folder. */
  release(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
    });
  }
}

/** What the process behind a socket says; undefined if there is none any more. */
function ask(path: string): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    let answer = '';
    const socket = connect(path)
      .setEncoding('utf8')
      .setTimeout(ANSWER_MS, () => {
        socket.destroy();
        resolve(HELD);
      })
      .on('data', (text: string) => {
        answer += text;
      })
      // Nothing said: it was alive a moment ago, and is asked again with the next attempt.
      .on('end', () => resolve(answer || ASKING))
      .on('error', (error: NodeJS.ErrnoException) => {
        if (error.code === 'ECONNREFUSED' || error.code === 'ENOENT') resolve(undefined);
        else if (error.code === 'ECONNRESET' || error.code === 'EPIPE') resolve(ASKING);
        else reject(error);
      });
  });
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch {
    return false;
  }
}
