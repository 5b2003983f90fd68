import { LRUCache } from 'lru-cache';
import type { Clock } from '../../runtime/clock.ts';
import type { Log } from '../../runtime/log.ts';
import type { Limit } from '../../schemas/policy-io.ts';
import type { CounterStore } from '../counters/contract.ts';
import type { ProviderNumbers } from './provider-headers.ts';
import { providerLimits, type Served } from './provider-limits.ts';

export interface LimitCorrectionsDeps {
  store: Pick<CounterStore, 'raiseUsed'>;
  clock: Clock;
  log: Log;
}

/** The same limit is corrected so often, unless less is left than a moment ago. */
const EVERY_MS = 1_000;

const MAX_LIMITS = 10_000;

/** A limit whose numbers the provider resets later than this is not one of a minute. */
const LONGEST_MINUTE_MS = 90_000;

/**
 * Has our counters follow the provider's: others may draw on the account beside us. Only upward, for the provider does not know yet of
 * what is under way; and what is kept back stays so.
 */
export class LimitCorrections {
  readonly #deps: LimitCorrectionsDeps;
  readonly #last = new LRUCache<string, { at: number; remaining: number; limit: number | undefined }>({
    max: MAX_LIMITS,
  });

  constructor(deps: LimitCorrectionsDeps) {
    this.#deps = deps;
  }

  async note(served: Served, numbers: readonly ProviderNumbers[]): Promise<void> {
    if (numbers.length === 0) return;
    const limits = providerLimits(served);
    await Promise.all(numbers.map((said) => this.#correct(limits, said)));
  }

  async #correct(limits: readonly Limit[], said: ProviderNumbers): Promise<void> {
    const limit = limits.find((one) => isOf(one, said));
    if (!limit || !this.#isNews(limit, said)) return;
    // What the provider has left of its limit, less what is kept back of it.
    const keptBack = Math.max(0, (said.limit ?? limit.capacity) - limit.capacity);
    await this.#deps.store.raiseUsed(limit, Math.max(0, said.remaining - keptBack));
  }

  #isNews({ capacity, id }: Limit, { limit, remaining }: ProviderNumbers): boolean {
    const at = this.#deps.clock.monotonic();
    const last = this.#last.get(id);
    if (last && at - last.at < EVERY_MS && remaining >= last.remaining) return false;
    this.#last.set(id, { at, remaining, limit });
    if (limit !== undefined && limit < capacity && last?.limit !== limit) {
      this.#deps.log.warn(
        { limit: id, configured: capacity, provider: limit },
        'the provider allows less than providers.yaml says',
      );
    }
    return true;
  }
}

function isOf(limit: Limit, { of, resetMs }: ProviderNumbers): boolean {
  if (of !== 'requests') return limit.id.endsWith(`:${of}`);
  const isDay = resetMs !== undefined && resetMs > LONGEST_MINUTE_MS;
  return limit.id.endsWith(isDay ? ':requests:day' : ':requests');
}
