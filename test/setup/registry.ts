import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * The processes that tests have started and that must not outlive their owner: a file each, named after the two, with
 * the signal that ends it. The reaper, a process of its own, reads them, so that they hold also when a test file or
 * vitest itself is killed.
 */
export class ProcessRegistry {
  readonly #folder: string;

  constructor(runDir: string) {
    this.#folder = join(runDir, 'processes');
    mkdirSync(this.#folder, { recursive: true });
  }

  add(pid: number, { owner = process.pid, signal = 'SIGKILL' as NodeJS.Signals } = {}): void {
    writeFileSync(join(this.#folder, `${owner}-${pid}`), signal);
  }

  remove(pid: number, { owner = process.pid } = {}): void {
    rmSync(join(this.#folder, `${owner}-${pid}`), { force: true });
  }
}
