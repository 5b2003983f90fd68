import { Counter, Histogram, type Registry } from 'prom-client';
import type { Clock } from '../runtime/clock.ts';
import { gaugeOf, oncePerScrape } from '../runtime/metrics/observed.ts';
import type { Tracing } from '../runtime/tracing/tracing.ts';
import type { ModelsConfig } from '../schemas/config/models.ts';
import type { UsageStream } from '../schemas/usage-stream.ts';
import type { Committed } from './ledger/ledger.ts';
import { UsageTotals } from './metrics/usage-totals.ts';

const MAX_LABEL_SETS = 1_000;

export interface BillingMetricsDeps {
  registry: Registry;
  stream: Pick<UsageStream, 'lag'>;
  /** The rate card. */
  models: () => ModelsConfig;
  /** So many tenants, users and models have metrics of their own. */
  maxLabelSets?: number | undefined;
  tracing?: Pick<Tracing, 'work'> | undefined;
  clock: Clock;
}

/** What the billing worker counts, of each event once: when it is committed, and if it was not there before. */
export class BillingMetrics {
  readonly #clock: Clock;
  readonly #tracing: Pick<Tracing, 'work'> | undefined;
  readonly #usage: UsageTotals;
  readonly #events: Counter;
  readonly #deadLetters: Counter;
  readonly #batch: Histogram;

  constructor({ clock, maxLabelSets = MAX_LABEL_SETS, models, registry, stream, tracing }: BillingMetricsDeps) {
    this.#clock = clock;
    this.#tracing = tracing;
    this.#usage = new UsageTotals(registry, { maxSets: maxLabelSets, models });
    this.#events = new Counter({
      name: 'openclaw_ledger_events_total',
      help: 'Stream entries that became ledger rows, by type; a delivery of one that was there already is not counted.',
      labelNames: ['type'],
      registers: [registry],
    });
    this.#deadLetters = new Counter({
      name: 'openclaw_ledger_dead_letters_total',
      help: 'Stream entries that could not become a ledger row.',
      registers: [registry],
    });
    this.#batch = new Histogram({
      name: 'openclaw_ledger_batch_duration_seconds',
      help: 'Time to commit one batch of stream entries.',
      buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 30],
      registers: [registry],
    });
    registerLag(registry, stream);
  }

  committed({ deadLetters, events, newRows }: Committed): void {
    for (const [type, count] of Object.entries(events)) this.#events.inc({ type }, count);
    this.#deadLetters.inc(deadLetters);
    for (const row of newRows) this.#usage.add(row);
  }

  /** `entries`: how many. */
  async batch(entries: number, append: () => Promise<void>): Promise<void> {
    const start = this.#clock.monotonic();
    if (this.#tracing) await this.#tracing.work('ledger.append', { 'openclaw.entries': entries }, append);
    else await append();
    this.#batch.observe((this.#clock.monotonic() - start) / 1000);
  }
}

/** NaN while the stream cannot be reached, for 0 would say that all is well. */
function registerLag(registry: Registry, stream: Pick<UsageStream, 'lag'>): void {
  const unknown = { entries: Number.NaN, oldestMs: Number.NaN };
  const lag = oncePerScrape(() => stream.lag().catch(() => unknown));
  gaugeOf(
    registry,
    'openclaw_usage_stream_lag_entries',
    'Usage events that are not yet acknowledged.',
    async () => (await lag()).entries,
  );
  gaugeOf(
    registry,
    'openclaw_usage_stream_oldest_seconds',
    'Age of the oldest usage event that is not yet acknowledged.',
    async () => (await lag()).oldestMs / 1000,
  );
}
