import { createHash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { Job } from './protocol.ts';

/** A caller that asks again and again is not to cost a time-out each time. */
const KNOWN_MS = 5_000;
const MAX_KNOWN = 256;

/** Jobs that took longer than they may, for some seconds. As long as there are none, asking costs nothing. */
export class KnownSlow {
  readonly #known: LRUCache<string, true>;

  constructor({ forMs = KNOWN_MS } = {}) {
    this.#known = new LRUCache({ max: MAX_KNOWN, ttl: forMs, ttlAutopurge: true });
  }

  add(job: Job): void {
    this.#known.set(keyOf(job), true);
  }

  has(job: Job): boolean {
    return this.#known.size > 0 && this.#known.has(keyOf(job));
  }
}

/** An input may be a megabyte long. */
const keyOf = ({ entrypoint, input }: Job): string =>
  createHash('sha256')
    .update(`${entrypoint} ${input === undefined ? '' : `=${input}`}`)
    .digest('base64');
