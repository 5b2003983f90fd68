import { DIFFERENCES, type Difference, type Verdict } from '../verdict.ts';
import { costOf, formatMoney } from './money.ts';
import type { Skipped } from './recorded-decision.ts';
import type { Replayed } from './replay.ts';

type Counts = Record<Difference, number>;

/** What a replay came to: as JSON, as it is. Money is in USD, as decimal strings; times are RFC 3339. */
export interface ReplaySummary {
  revision: string;
  decisions: number;
  /** When the first and the last of them were made. */
  from: string | null;
  to: string | null;
  differences: Counts;
  billed: { recorded: number; candidate: number };
  cost_usd: { recorded: string; candidate: string; difference: string };
  /** Those who asked, the most concerned first. */
  callers: CallerSummary[];
  /** Why the candidate failed, and how often. */
  failures: { message: string; decisions: number }[];
  /** What policies may read and the log does not have, and in how many decisions. */
  missing: { pointer: string; decisions: number }[];
  skipped: Partial<Record<Skipped, number>>;
}

interface CallerSummary {
  tenant_id: string;
  user_id: string | null;
  decisions: number;
  differences: Counts;
  billed: { recorded: number; candidate: number };
  cost_usd: { recorded: string; candidate: string; difference: string };
}

interface Sums {
  decisions: number;
  differences: Counts;
  billed: Billed;
  cost: { recorded: bigint; candidate: bigint };
}

interface Billed {
  recorded: number;
  candidate: number;
}

/** Adds up a replay. */
export class ReplayReport {
  readonly #priceOf: (tenantId: string) => string;
  readonly #total = sums();
  readonly #callers = new Map<string, Sums & { tenant_id: string; user_id: string | null }>();
  readonly #failures = new Map<string, number>();
  readonly #missing = new Map<string, number>();
  readonly #skipped = new Map<Skipped, number>();
  #from = Number.POSITIVE_INFINITY;
  #to = Number.NEGATIVE_INFINITY;

  /** `priceOf`: USD per billed unit of a tenant, as a decimal string. */
  constructor(priceOf: (tenantId: string) => string) {
    this.#priceOf = priceOf;
  }

  skip(why: Skipped): void {
    count(this.#skipped, why);
  }

  add({ difference, failure, recorded, would }: Replayed): void {
    const { tenant_id, user_id = null } = recorded.request.subject;
    const key = JSON.stringify([tenant_id, user_id]);
    const caller = this.#callers.get(key) ?? { tenant_id, user_id, ...sums() };
    this.#callers.set(key, caller);
    const price = this.#priceOf(tenant_id);
    for (const to of [this.#total, caller]) addTo(to, difference, { recorded: recorded.verdict, would, price });
    if (failure && difference === 'would_fail') count(this.#failures, failure.message);
    for (const pointer of new Set(recorded.missing)) count(this.#missing, pointer);
    this.#from = Math.min(this.#from, recorded.at);
    this.#to = Math.max(this.#to, recorded.at);
  }

  summary(revision: string): ReplaySummary {
    const isEmpty = this.#total.decisions === 0;
    return {
      revision,
      from: isEmpty ? null : new Date(this.#from).toISOString(),
      to: isEmpty ? null : new Date(this.#to).toISOString(),
      ...inWords(this.#total),
      callers: [...this.#callers.values()]
        .toSorted((a, b) => changed(b) - changed(a) || b.decisions - a.decisions)
        .map((caller) => ({ tenant_id: caller.tenant_id, user_id: caller.user_id, ...inWords(caller) })),
      failures: mostFirst(this.#failures).map(([message, decisions]) => ({ message, decisions })),
      missing: mostFirst(this.#missing).map(([pointer, decisions]) => ({ pointer, decisions })),
      skipped: Object.fromEntries(this.#skipped),
    };
  }
}

const none = () => Object.fromEntries(DIFFERENCES.map((difference) => [difference, 0])) as Counts;

const sums = (): Sums => ({
  decisions: 0,
  differences: none(),
  billed: { recorded: 0, candidate: 0 },
  cost: { recorded: 0n, candidate: 0n },
});

function addTo(
  to: Sums,
  difference: Difference,
  { price, recorded, would }: { recorded: Verdict; would: Verdict; price: string },
): void {
  to.decisions += 1;
  to.differences[difference] += 1;
  to.billed.recorded += recorded.billed;
  to.billed.candidate += would.billed;
  to.cost.recorded += costOf(recorded.billed, price);
  to.cost.candidate += costOf(would.billed, price);
}

const inWords = ({ billed, cost, decisions, differences }: Sums) => ({
  decisions,
  differences,
  billed,
  cost_usd: {
    recorded: formatMoney(cost.recorded),
    candidate: formatMoney(cost.candidate),
    difference: formatMoney(cost.candidate - cost.recorded),
  },
});

const changed = ({ decisions, differences }: Sums) => decisions - differences.same;

function count<Key>(counts: Map<Key, number>, key: Key): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

const mostFirst = (counts: Map<string, number>) => [...counts].toSorted(([, a], [, b]) => b - a);
