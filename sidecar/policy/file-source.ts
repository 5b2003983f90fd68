import { type FSWatcher, watch } from 'node:fs';
import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Clock } from '../../runtime/clock.ts';
import { readBundleFile } from './bundle.ts';
import { BundleError } from './bundle-error.ts';
import type { BundleReport } from './bundle-report.ts';
import type { Policies } from './policies.ts';

/** A file is looked at so often also without a notice: not every file system gives one. */
const LOOK_EVERY_MS = 2_000;
/** A file that is not whole may still be on its way: it is called broken when it has not changed for so long. */
const SETTLED_AFTER_MS = 1_000;
const LOOK_AGAIN_MS = 250;

export interface FileSourceOptions {
  file: string;
  policies: Policies;
  report: BundleReport;
  clock: Clock;
  /** Whether a process may start without it: then it may come, or be mended, later. */
  optional?: boolean;
}

/** A bundle in a file. Whatever way the file is replaced, what is in it takes the place of what was, if it is sound. */
export class FileSource {
  readonly #options: FileSourceOptions;
  #watcher: FSWatcher | undefined;
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> | undefined;
  #noticed = false;
  #stopped = false;
  #seen: string | undefined;
  /** The monotonic time at which the file was first seen as it is now. */
  #since = 0;
  #unsettled = false;

  constructor(options: FileSourceOptions) {
    this.#options = options;
  }

  /** Throws `BundleError` if the bundle cannot be used: a process must not start with it, unless it is optional. */
  async start(): Promise<void> {
    const { file, optional, policies, report } = this.#options;
    report.requested();
    // Watched before it is read, so that no change is missed in between.
    this.#watch();
    this.#seen = await stampOf(file);
    try {
      const bytes = await readBundleFile(file);
      report.answered({ downloaded: true });
      await policies.activate(bytes);
    } catch (error) {
      if (!optional || !(error instanceof BundleError)) {
        this.#watcher?.close();
        throw error;
      }
      report.failed(error);
    }
    this.#lookIn(this.#noticed ? 0 : LOOK_EVERY_MS);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#watcher?.close();
    clearTimeout(this.#timer);
    await this.#looking;
  }

  /** The folder, not the file: a file that is replaced by a rename is another file. */
  #watch(): void {
    try {
      this.#watcher = watch(dirname(this.#options.file), () => this.#notice());
      this.#watcher.on('error', () => this.#watcher?.close());
      this.#watcher.unref();
    } catch {
      // It is looked at every LOOK_EVERY_MS all the same.
    }
  }

  #notice(): void {
    this.#noticed = true;
    if (this.#timer && !this.#looking) this.#lookIn(0);
  }

  #lookIn(milliseconds: number): void {
    if (this.#stopped) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#looking = this.#look().then((next) => {
        this.#looking = undefined;
        this.#lookIn(this.#noticed ? 0 : next);
      });
    }, milliseconds);
    this.#timer.unref();
  }

  /** Gives the time to the next look. */
  async #look(): Promise<number> {
    const { clock, file, report } = this.#options;
    this.#noticed = false;
    const stamp = await stampOf(file);
    if (stamp === this.#seen && !this.#unsettled) return LOOK_EVERY_MS;
    if (stamp !== this.#seen) this.#since = clock.monotonic();
    this.#seen = stamp;
    report.requested();
    return this.#load();
  }

  async #load(): Promise<number> {
    const { clock, file, policies, report } = this.#options;
    try {
      const bytes = await readBundleFile(file);
      report.answered({ downloaded: true });
      if (!policies.isActive(bytes)) await policies.activate(bytes);
      report.sound();
      this.#unsettled = false;
      return LOOK_EVERY_MS;
    } catch (error) {
      const failure = error instanceof BundleError ? error : new BundleError('missing', (error as Error).message);
      const unfinished = failure.problem === 'archive' || failure.problem === 'missing';
      this.#unsettled = unfinished && clock.monotonic() - this.#since < SETTLED_AFTER_MS;
      if (this.#unsettled) return LOOK_AGAIN_MS;
      report.failed(failure);
      return LOOK_EVERY_MS;
    }
  }
}

/** Tells one state of the file from another: a file replaced within the same millisecond has another number. */
async function stampOf(file: string): Promise<string | undefined> {
  const found = await stat(file, { bigint: true }).catch(() => undefined);
  return found && `${found.ino} ${found.size} ${found.mtimeNs} ${found.ctimeNs}`;
}
