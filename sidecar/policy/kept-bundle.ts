import { createHash } from 'node:crypto';
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/**
 * The last bundle of a URL that was put in force, on disk: what a start without its server uses. Of another URL it is
 * another file.
 */
export class KeptBundle {
  readonly #file: string;

  constructor(dataDir: string, url: string) {
    const id = createHash('sha256').update(url).digest('hex').slice(0, 16);
    this.#file = join(dataDir, 'policy', `bundle-${id}.tar.gz`);
  }

  /** Undefined if none is kept. */
  async read(): Promise<Buffer | undefined> {
    try {
      return await readFile(this.#file);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  }

  /** After a power loss there is the one before or this one, whole. */
  async write(bytes: Buffer): Promise<void> {
    const folder = dirname(this.#file);
    const building = `${this.#file}.${process.pid}`;
    await mkdir(folder, { recursive: true, mode: 0o700 });
    try {
      const file = await open(building, 'w', 0o600);
      try {
        await file.writeFile(bytes);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(building, this.#file);
    } catch (error) {
      await rm(building, { force: true });
      throw error;
    }
  }
}
