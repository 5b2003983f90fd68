import { type FSWatcher, readdirSync, statSync, watch } from 'node:fs';
import { join } from 'node:path';
import { type Clock, systemClock } from '../clock.ts';
import type { Log } from '../log.ts';
import type { Process } from '../main.ts';
import { ConfigError } from './config-error.ts';
import { type Config, loadConfig } from './files.ts';
import { loadAside } from './load-aside.ts';

/** The folder is looked at so often also without a notice: not every file system gives one. */
const LOOK_EVERY_MS = 2_000;
/** A file that was changed may be changed further: it is read when it has stayed as it is for so long. */
const SETTLED_AFTER_MS = 200;

export interface LiveConfigOptions {
  folder: string;
  clock: Clock;
  log: Log;
}

/** Of files that have changed: their names, and what is wrong with them, if anything is. */
export interface Reload {
  changed: string[];
  problems: readonly string[];
}

/** Puts a new configuration into use. Throws if it cannot be: then the one before stays in use everywhere. */
export type Apply = (config: Config) => void | Promise<void>;

export interface ConfigStatus {
  /** When the configuration in use was read: epoch milliseconds. */
  loadedAt: number;
  reloads: number;
  /** What is wrong with the files as they are now; empty if nothing is. The configuration in use goes on. */
  problems: readonly string[];
}

/** The files of `CONFIG_DIR`, and their changes. What is wrong never takes the place of what works. */
export class LiveConfig {
  readonly #options: LiveConfigOptions;
  readonly #appliers: Apply[] = [];
  readonly #listeners: ((reload: Reload) => void)[] = [];
  #current: Config;
  #status: ConfigStatus;
  #seen: string;
  #read: string;
  #since = 0;
  #watcher: FSWatcher | undefined;
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> | undefined;
  #stopped = false;

  /** Throws `ConfigError` with all problems of all files. */
  constructor(options: LiveConfigOptions) {
    this.#options = options;
    // Before they are read, so that no change is missed in between.
    this.#read = stampOf(options.folder);
    this.#seen = this.#read;
    this.#current = loadConfig(options.folder);
    this.#status = { loadedAt: options.clock.now(), reloads: 0, problems: [] };
  }

  readonly current = (): Config => this.#current;

  readonly status = (): ConfigStatus => this.#status;

  /** Asked in the order in which they were added, before the new configuration is the current one. */
  onChange(apply: Apply): void {
    this.#appliers.push(apply);
  }

  /** Told of each reload when it is done, and of each that failed. */
  onReload(listener: (reload: Reload) => void): void {
    this.#listeners.push(listener);
  }

  start(): void {
    try {
      this.#watcher = watch(this.#options.folder, () => this.#notice());
      this.#watcher.on('error', () => this.#watcher?.close());
      this.#watcher.unref();
    } catch {
      // It is looked at every LOOK_EVERY_MS all the same.
    }
    this.#lookIn(0);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#watcher?.close();
    clearTimeout(this.#timer);
    await this.#looking;
  }

  #notice(): void {
    if (!this.#looking) this.#lookIn(0);
  }

  #lookIn(milliseconds: number): void {
    if (this.#stopped) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#looking = this.#look().then((next) => {
        this.#looking = undefined;
        this.#lookIn(next);
      });
    }, milliseconds);
    this.#timer.unref();
  }

  /** Gives the time to the next look. */
  async #look(): Promise<number> {
    const { clock, folder } = this.#options;
    const stamp = stampOf(folder);
    if (stamp !== this.#seen) this.#since = clock.monotonic();
    this.#seen = stamp;
    if (stamp === this.#read) return LOOK_EVERY_MS;
    const wait = SETTLED_AFTER_MS - (clock.monotonic() - this.#since);
    if (wait > 0) return wait;
    const changed = changedFiles(this.#read, stamp);
    this.#read = stamp;
    await this.#reload();
    for (const listener of this.#listeners) listener({ changed, problems: this.#status.problems });
    return 0;
  }

  async #reload(): Promise<void> {
    const { clock, folder, log } = this.#options;
    try {
      const config = await loadAside(folder);
      for (const apply of this.#appliers) await apply(config);
      this.#current = config;
      this.#status = { loadedAt: clock.now(), reloads: this.#status.reloads + 1, problems: [] };
      log.info({ folder }, 'the changed configuration is in use');
    } catch (error) {
      const problems = error instanceof ConfigError ? error.problems : [(error as Error).message];
      this.#status = { ...this.#status, problems };
      log.error({ folder, problems }, 'the changed configuration cannot be used, the one before goes on');
    }
  }
}

/** That of a process: it is followed from `start` on, until the process ends. Throws `ConfigError`. */
export function openLiveConfig({ closers, environment, log }: Pick<Process, 'closers' | 'environment' | 'log'>) {
  const config = new LiveConfig({ folder: environment.CONFIG_DIR, clock: systemClock, log });
  closers.add('configuration', () => config.stop());
  return config;
}

/** Tells one state of the folder's files from another. */
function stampOf(folder: string): string {
  return namesIn(folder)
    .filter((name) => /\.(ya?ml|json)$/.test(name))
    .sort()
    .map((name) => {
      const found = statSync(join(folder, name), { bigint: true, throwIfNoEntry: false });
      return found && `${name} ${found.ino} ${found.size} ${found.mtimeNs} ${found.ctimeNs}`;
    })
    .join('\n');
}

/** The files whose line is in one of two stamps only. */
function changedFiles(before: string, after: string): string[] {
  const [old, now] = [new Set(before.split('\n')), new Set(after.split('\n'))];
  const lines = [...[...old].filter((line) => !now.has(line)), ...[...now].filter((line) => !old.has(line))];
  return [...new Set(lines.filter(Boolean).map((line) => line.split(' ').slice(0, -4).join(' ')))].sort();
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
