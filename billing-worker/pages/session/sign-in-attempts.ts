import { timingSafeEqual } from 'node:crypto';
import type { Clock } from '../../../runtime/clock.ts';
import { FailedAttempts } from '../../../sidecar/identity/failed-attempts.ts';
import { digestOf } from './sessions.ts';

/** What became of an attempt to sign in: `waitMs` is how long this address must wait before the next one is looked at. */
export type Attempt<T> = { ok: T } | { wrong: true } | { waitMs: number };

/** Looks at what was given unless too much that was wrong came from the same address in the last minute. */
export class SignInAttempts {
  readonly #failed: FailedAttempts;

  constructor(clock: Pick<Clock, 'monotonic'>) {
    this.#failed = new FailedAttempts(clock);
  }

  async try<T>(address: string | undefined, given: string, look: () => Promise<T | undefined>): Promise<Attempt<T>> {
    const digest = digestOf(given);
    const waitMs = this.#failed.waitOf(address, digest);
    if (waitMs !== undefined) return { waitMs };
    const found = await look();
    if (found === undefined) {
      this.#failed.failed(address);
      return { wrong: true };
    }
    this.#failed.succeeded(digest);
    return { ok: found };
  }
}

/** In constant time, whatever the lengths. */
export const isSame = (given: string, expected: string): boolean =>
  timingSafeEqual(Buffer.from(digestOf(given)), Buffer.from(digestOf(expected)));
