import { DateTime } from 'luxon';
import type { Call } from './day.ts';
import { hourOf, MAX_OUTPUT } from './day.ts';

/** What one call costs at a provider, by its own count. */
interface Cost {
  requests: number;
  tokens: number;
}

/** How a provider limits, as it publishes it. */
export interface ProviderRules {
  requestsPerMinute: number;
  tokensPerMinute: number;
  /** Of a call when it arrives; nothing is given back afterwards. */
  tokensOf: (call: Pick<Call, 'estimated' | 'input'>) => number;
  perDay?: { requests: number; timezone: string };
  headers: (left: Left, now: number) => Record<string, string>;
}

/** What is left of a minute, and in how many milliseconds it is whole again. */
type Left = Record<keyof Cost, { limit: number; remaining: number; resetMs: number }>;

export interface Reply {
  status: 200 | 429;
  headers: Record<string, string>;
  /** Seconds, with 429. */
  retryAfter: number;
  /** It would have been accepted, had nobody else used the account. */
  becauseOfOthers: boolean;
}

/** Drips full; what is taken is gone. In fractions, so that nothing is lost by rounding. */
class Drip {
  readonly capacity: number;
  #level: number;
  #at = 0;

  constructor(perMinute: number) {
    this.capacity = perMinute;
    this.#level = perMinute;
  }

  level(now: number): number {
    this.#level = Math.min(this.capacity, this.#level + ((now - this.#at) * this.capacity) / 60_000);
    this.#at = now;
    return this.#level;
  }

  /** Milliseconds until there is room for so much. */
  wait(amount: number, now: number): number {
    if (amount > this.capacity) throw new Error(`a call of ${amount} never fits into ${this.capacity}`);
    return (Math.max(0, amount - this.level(now)) * 60_000) / this.capacity;
  }

  take(amount: number): void {
    this.#level -= amount;
  }
}

/** All that is counted of an account. */
class Books {
  readonly #minute: Record<keyof Cost, Drip>;
  readonly #day: ProviderRules['perDay'];
  #today = '';
  #usedToday = 0;

  constructor({ perDay, requestsPerMinute, tokensPerMinute }: ProviderRules) {
    this.#minute = { requests: new Drip(requestsPerMinute), tokens: new Drip(tokensPerMinute) };
    this.#day = perDay;
  }

  wait(cost: Cost, now: number): number {
    const { requests, tokens } = this.#minute;
    return Math.max(requests.wait(cost.requests, now), tokens.wait(cost.tokens, now), this.#waitForDay(now));
  }

  take(cost: Cost): void {
    this.#minute.requests.take(cost.requests);
    this.#minute.tokens.take(cost.tokens);
    this.#usedToday += cost.requests;
  }

  left(now: number): Left {
    const of = (drip: Drip) => {
      const level = drip.level(now);
      const resetMs = ((drip.capacity - level) * 60_000) / drip.capacity;
      return { limit: drip.capacity, remaining: Math.floor(level), resetMs };
    };
    return { requests: of(this.#minute.requests), tokens: of(this.#minute.tokens) };
  }

  #waitForDay(now: number): number {
    if (!this.#day) return 0;
    const there = DateTime.fromMillis(now, { zone: this.#day.timezone });
    const today = there.toISODate() ?? '';
    if (today !== this.#today) [this.#today, this.#usedToday] = [today, 0];
    return this.#usedToday < this.#day.requests ? 0 : there.plus({ days: 1 }).startOf('day').toMillis() - now;
  }
}

/** An account at a provider that refuses whatever is beyond its limits. It knows nothing of the sidecar's arithmetic. */
export class FakeProvider {
  readonly rules: ProviderRules;
  /** Tokens that were accepted, by hour of the day. */
  readonly accepted: { ours: number[]; others: number[] } = { ours: [], others: [] };
  readonly #books: Books;
  /** As if nobody else used the account. */
  readonly #alone: Books;

  constructor(rules: ProviderRules) {
    this.rules = rules;
    this.#books = new Books(rules);
    this.#alone = new Books(rules);
  }

  arrive(call: Pick<Call, 'estimated' | 'input'>, now: number, who: 'ours' | 'others'): Reply {
    const cost = { requests: 1, tokens: this.rules.tokensOf(call) };
    const wait = this.#books.wait(cost, now);
    if (wait === 0) {
      this.#books.take(cost);
      const of = hourOf(now);
      this.accepted[who][of] = (this.accepted[who][of] ?? 0) + cost.tokens;
    }
    const fitsAlone = who === 'ours' && this.#alone.wait(cost, now) === 0;
    if (wait === 0 && who === 'ours') this.#alone.take(cost);
    return {
      status: wait === 0 ? 200 : 429,
      headers: this.rules.headers(this.#books.left(now), now),
      retryAfter: Math.ceil(wait / 1_000),
      becauseOfOthers: wait > 0 && fitsAlone,
    };
  }
}

const thousands = (tokens: number) => String(Math.round(tokens / 1_000) * 1_000);

/**
 * Buckets that refill all the time; input tokens as they really are, also at the beginning; the headers round tokens to
 * thousands: https://docs.claude.com/en/api/rate-limits
 */
export const anthropic = (requestsPerMinute: number, tokensPerMinute: number): ProviderRules => ({
  requestsPerMinute,
  tokensPerMinute,
  tokensOf: ({ input }) => input,
  headers: ({ requests, tokens }, now) => ({
    'anthropic-ratelimit-requests-limit': String(requests.limit),
    'anthropic-ratelimit-requests-remaining': String(requests.remaining),
    'anthropic-ratelimit-requests-reset': new Date(now + requests.resetMs).toISOString(),
    'anthropic-ratelimit-input-tokens-limit': String(tokens.limit),
    'anthropic-ratelimit-input-tokens-remaining': thousands(tokens.remaining),
    'anthropic-ratelimit-input-tokens-reset': new Date(now + tokens.resetMs).toISOString(),
  }),
});

const duration = (milliseconds: number) => `${(milliseconds / 1_000).toFixed(3)}s`;

/**
 * The same buckets; tokens are the larger of `max_tokens` and an estimate by the characters, whatever the call takes
 * in the end: https://platform.openai.com/docs/guides/rate-limits
 */
export const openai = (requestsPerMinute: number, tokensPerMinute: number): ProviderRules => ({
  requestsPerMinute,
  tokensPerMinute,
  tokensOf: ({ estimated }) => Math.max(estimated, MAX_OUTPUT),
  headers: ({ requests, tokens }) => ({
    'x-ratelimit-limit-requests': String(requests.limit),
    'x-ratelimit-remaining-requests': String(requests.remaining),
    'x-ratelimit-reset-requests': duration(requests.resetMs),
    'x-ratelimit-limit-tokens': String(tokens.limit),
    'x-ratelimit-remaining-tokens': String(tokens.remaining),
    'x-ratelimit-reset-tokens': duration(tokens.resetMs),
  }),
});

/** Requests a day until midnight in Los Angeles: https://ai.google.dev/gemini-api/docs/rate-limits. How a minute is counted it does not say. */
export const google = (requestsPerMinute: number, tokensPerMinute: number, requests: number): ProviderRules => ({
  requestsPerMinute,
  tokensPerMinute,
  tokensOf: ({ input }) => input,
  perDay: { requests, timezone: 'America/Los_Angeles' },
  headers: () => ({}),
});
