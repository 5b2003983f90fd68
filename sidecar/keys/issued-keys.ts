import { timingSafeEqual } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { Clock } from '../../runtime/clock.ts';
import type { Log } from '../../runtime/log.ts';
import type { ApiKey } from '../../schemas/api-key.ts';
import type { ApiKeyStore } from '../counters/api-keys.ts';
import { idOfKey } from './key-text.ts';
import { stateOf } from './lifecycle.ts';

/**
 * For so long what the store said of a key is believed, so that a change of it holds here after that time at the latest. From half
 * of it on the store is asked again beside the answers: who calls all the time never waits.
 */
const FRESH_MS = 1_000;

/** For so long the last word of a store that is away is believed: nothing is taken meanwhile unless the operator wants it so. */
const STALE_MS = 10 * 60_000;

/** Keys that this process remembers, 1 kB each. Others are asked for again. */
const MAX_REMEMBERED = 10_000;

/** What is shown is a key, but not one to let in. Only who has the whole of it learns more than "unidentified". */
export type KeyRefused = { refused: 'revoked' | 'expired'; key: ApiKey } | { refused: 'unknown' };

export interface IssuedKeysDeps {
  store: Pick<ApiKeyStore, 'apiKey'>;
  clock: Clock;
  log: Log;
}

interface Remembered {
  key: ApiKey;
  /** On the monotonic clock. */
  readAt: number;
  askedAt: number;
}

/** The keys that were issued, as the store has them, remembered for a second. */
export class IssuedKeys {
  readonly #deps: IssuedKeysDeps;
  readonly #remembered = new LRUCache<string, Remembered>({ max: MAX_REMEMBERED });
  readonly #asking = new Map<string, Promise<ApiKey | undefined>>();
  readonly #used = new Map<string, number>();
  #isAway = false;

  constructor(deps: IssuedKeysDeps) {
    this.#deps = deps;
  }

  /**
   * Whose key `text` is, whose SHA-256 is `digest`; undefined if it has not the form of one. Throws `CountersUnavailable` if
   * the store is away and this key is not remembered. At once, unless the store has to be asked.
   */
  find(text: string, digest: Buffer): ApiKey | KeyRefused | Promise<ApiKey | KeyRefused> | undefined {
    const id = idOfKey(text);
    if (id === undefined) return undefined;
    const now = this.#deps.clock.monotonic();
    const remembered = this.#remembered.get(id);
    if (!remembered || now - remembered.readAt >= FRESH_MS) {
      return this.#ask(id, now, remembered).then((key) => this.#judge(key, digest));
    }
    if (now - Math.max(remembered.readAt, remembered.askedAt) >= FRESH_MS / 2) {
      remembered.askedAt = now;
      this.#ask(id, now, remembered).catch(() => {});
    }
    return this.#judge(remembered.key, digest);
  }

  /** When each key was last let in, since the last time that this was asked: epoch milliseconds. */
  drainUsed(): Map<string, number> {
    const used = new Map(this.#used);
    this.#used.clear();
    return used;
  }

  /** What this process has changed itself holds here at once. */
  forget(id: string): void {
    this.#remembered.delete(id);
  }

  #judge(key: ApiKey | undefined, digest: Buffer): ApiKey | KeyRefused {
    if (!key || !timingSafeEqual(Buffer.from(key.digest, 'hex'), digest)) return { refused: 'unknown' };
    const now = this.#deps.clock.now();
    const state = stateOf(key, now);
    if (state === 'revoked' || state === 'expired') return { refused: state, key };
    this.#used.set(key.id, now);
    return key;
  }

  /** Several who ask for one key at once share the question. */
  #ask(id: string, now: number, remembered: Remembered | undefined): Promise<ApiKey | undefined> {
    const asking = this.#asking.get(id);
    if (asking) return asking;
    const question = this.#read(id, now, remembered).finally(() => this.#asking.delete(id));
    this.#asking.set(id, question);
    return question;
  }

  async #read(id: string, now: number, remembered: Remembered | undefined): Promise<ApiKey | undefined> {
    const { log, store } = this.#deps;
    try {
      const key = await store.apiKey(id);
      this.#isAway = false;
      if (key) this.#remembered.set(id, { key, readAt: now, askedAt: now });
      else this.#remembered.delete(id);
      return key;
    } catch (error) {
      if (!this.#isAway) log.warn({ err: error }, 'keys cannot be read: those that are remembered go on');
      this.#isAway = true;
      if (remembered && now - remembered.readAt < STALE_MS) return remembered.key;
      throw error;
    }
  }
}
