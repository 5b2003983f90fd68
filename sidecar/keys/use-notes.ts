import type { Log } from '../../runtime/log.ts';
import type { ApiKeyStore } from '../counters/api-keys.ts';
import type { IssuedKeys } from './issued-keys.ts';

/** So exact is what a list of keys says of when each was last used. */
const EVERY_MS = 5_000;

export interface UseNotesDeps {
  issued: Pick<IssuedKeys, 'drainUsed'>;
  store: Pick<ApiKeyStore, 'noteApiKeysUsed'>;
  log: Log;
}

/** Writes into the store when keys were last used, beside the decisions. */
export class UseNotes {
  readonly #deps: UseNotesDeps;
  #waiting = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> = Promise.resolve();
  #isStopped = false;

  constructor(deps: UseNotesDeps) {
    this.#deps = deps;
  }

  start(): void {
    if (this.#isStopped) return;
    this.#timer = setTimeout(() => {
      this.#writing = this.#write().then(() => this.start());
    }, EVERY_MS);
    this.#timer.unref();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    await this.#writing;
    await this.#write();
  }

  /** What cannot be written now is written with what comes next. Never rejects. */
  async #write(): Promise<void> {
    const { issued, log, store } = this.#deps;
    const uses = new Map([...this.#waiting, ...issued.drainUsed()]);
    this.#waiting = uses;
    if (uses.size === 0) return;
    try {
      await store.noteApiKeysUsed(uses);
      this.#waiting = new Map();
    } catch (error) {
      log.debug({ err: error }, 'when keys were last used cannot be written yet');
    }
  }
}
