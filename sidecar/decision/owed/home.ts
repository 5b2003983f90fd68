import { randomBytes } from 'node:crypto';
import { chmod, mkdir, readdir, rm, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DataDirInUse, type DataDirLock, lockDataDir } from '../../../runtime/data-dir-lock.ts';
import type { Log } from '../../../runtime/log.ts';

const HOME = /^[0-9a-f]{12}$/;
/** Says whose it is, to a person who looks. */
const HOLDER = 'holder';

const ATTEMPTS = 5;

/** How the files end that hold what is owed; others keep other things in homes of their own. */
const OWED = 'owed';

const FILE = /^\d{6,}\.[a-z]+$/;

/**
 * A folder of one process in `<DATA_DIR>/owed`, with its files of what is owed. Any number of sidecars may share a
 * `DATA_DIR`: each holds its own folder by a lock that the kernel ends with the process, and one whose process has ended
 * is taken over by whoever starts next. So a file has one writer, and is deleted by nobody but its holder.
 */
export class Home {
  readonly folder: string;
  readonly #lock: DataDirLock;
  #files = 0;

  private constructor(folder: string, lock: DataDirLock) {
    this.folder = folder;
    this.#lock = lock;
  }

  /** A new one. Throws if nothing can be written there. */
  static async found(root: string): Promise<Home> {
    for (let attempt = 1; ; attempt++) {
      const folder = join(root, randomBytes(6).toString('hex'));
      try {
        return await Home.#hold(folder);
      } catch (error) {
        // One that starts at the same moment may take a folder that nobody holds yet for one that was left.
        if (attempt === ATTEMPTS || !(error instanceof DataDirInUse || isGone(error))) throw error;
      }
    }
  }

  static async #hold(folder: string): Promise<Home> {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const lock = await lockDataDir(folder);
    try {
      // While this is in it, nobody else can remove the folder.
      await writeFile(join(folder, HOLDER), `${process.pid}\n`, { mode: 0o600 });
      await chmod(folder, 0o700);
    } catch (error) {
      await lock.release();
      throw error;
    }
    return new Home(folder, lock);
  }

  /** Those that processes left which have ended. They are held from now on. */
  static async left(root: string, log: Log): Promise<Home[]> {
    const homes: Home[] = [];
    for (const name of await entries(root, HOME)) {
      const folder = join(root, name);
      try {
        homes.push(new Home(folder, await lockDataDir(folder)));
      } catch (error) {
        if (error instanceof DataDirInUse || isGone(error)) continue;
        log.error({ err: error, path: folder }, 'what a process left here that was allowed cannot be taken over');
      }
    }
    return homes;
  }

  /** Paths of the files that are there, the oldest first. */
  async files(ending = OWED): Promise<string[]> {
    const names = (await entries(this.folder, FILE)).filter((name) => name.endsWith(`.${ending}`));
    // From the millionth on, names are longer.
    return names.toSorted((a, b) => a.length - b.length).map((name) => join(this.folder, name));
  }

  /** The path of a file that is not there yet. Only in a home that was founded here. */
  newFile(ending = OWED): string {
    this.#files += 1;
    return join(this.folder, `${String(this.#files).padStart(6, '0')}.${ending}`);
  }

  /** Gives it up, and removes it if nothing is left in it. */
  async leave(): Promise<void> {
    if ((await entries(this.folder, FILE)).length === 0) await rm(join(this.folder, HOLDER), { force: true });
    await this.#lock.release();
    // Another process may look into it at this moment, and removes it then.
    await rmdir(this.folder).catch(() => {});
  }
}

async function entries(folder: string, pattern: RegExp): Promise<string[]> {
  try {
    return (await readdir(folder)).filter((name) => pattern.test(name)).sort();
  } catch (error) {
    if (isGone(error)) return [];
    throw error;
  }
}

const isGone = (error: unknown) => (error as NodeJS.ErrnoException).code === 'ENOENT';
