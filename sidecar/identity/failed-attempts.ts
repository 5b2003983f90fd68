import { isIPv6 } from 'node:net';
import { LRUCache } from 'lru-cache';
import type { Clock } from '../../runtime/clock.ts';

/** So many keys that are nobody's an address may show in a minute. */
export const MOST_FAILURES = 30;
const WINDOW_MS = 60_000;

const MAX_ADDRESSES = 10_000;
const MAX_GOOD = 10_000;
const GOOD_FOR_MS = 60 * 60_000;

/**
 * Who shows wrong keys again and again from one address gets no answer to further ones until its minute is over, so that a guess
 * that is right helps nobody. Keys that were right within the last hour go on: behind a gateway many share one address, and one
 * that guesses must not lock out the others. Each process counts for itself.
 */
export class FailedAttempts {
  readonly #clock: Pick<Clock, 'monotonic'>;
  readonly #failures = new LRUCache<string, { count: number; until: number }>({ max: MAX_ADDRESSES });
  /** Digests, and until when they are known to be right. */
  readonly #good = new LRUCache<string, number>({ max: MAX_GOOD });

  constructor(clock: Pick<Clock, 'monotonic'>) {
    this.#clock = clock;
  }

  /** Nobody has shown a wrong key: nobody waits. */
  get isQuiet(): boolean {
    return this.#failures.size === 0;
  }

  /** In how many milliseconds a key of this digest is looked at again; undefined: now. */
  waitOf(address: string | undefined, digest: string): number | undefined {
    const now = this.#clock.monotonic();
    const failures = this.#failures.get(network(address));
    if (!failures || failures.count < MOST_FAILURES || failures.until <= now) return undefined;
    return (this.#good.get(digest) ?? 0) > now ? undefined : failures.until - now;
  }

  failed(address: string | undefined): void {
    const now = this.#clock.monotonic();
    const key = network(address);
    const before = this.#failures.get(key);
    const current = before && before.until > now ? before : { count: 0, until: now + WINDOW_MS };
    current.count += 1;
    this.#failures.set(key, current);
  }

  /** What is right has changed: what was wrong before says nothing of who tries again. What was right may be wrong now. */
  forget(): void {
    this.#failures.clear();
    this.#good.clear();
  }

  succeeded(digest: string): void {
    this.#good.set(digest, this.#clock.monotonic() + GOOD_FOR_MS);
  }
}

/** Whoever has one address of IPv6 has 2^64: the first four groups are the network. */
function network(address = ''): string {
  if (!isIPv6(address)) return address;
  const [head = '', tail = ''] = address.split('::');
  const first = head.split(':').filter(Boolean);
  const last = tail.split(':').filter(Boolean);
  const zeros = address.includes('::') ? Array(Math.max(0, 8 - first.length - last.length)).fill('0') : [];
  return [...first, ...zeros, ...last].slice(0, 4).join(':');
}
