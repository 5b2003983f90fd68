import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { Clock } from '../runtime/clock.ts';
import type { StreamLag, UsageStream } from '../schemas/usage-stream.ts';
import type { Committed } from './ledger/ledger.ts';

/** What the billing worker counts. Labels have few values: no tenant, user or model is one. */
export class BillingMetrics {
  readonly #clock: Clock;
  readonly #events: Counter;
  readonly #deadLetters: Counter;
  readonly #batch: Histogram;

  constructor(registry: Registry, stream: UsageStream, clock: Clock) {
    this.#clock = clock;
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

  committed({ deadLetters, events }: Committed): void {
    for (const [type, count] of Object.entries(events)) this.#events.inc({ type }, count);
    this.#deadLetters.inc(deadLetters);
  }

  async batch(append: () => Promise<void>): Promise<void> {
    const start = this.#clock.monotonic();
    await append();
    this.#batch.observe((this.#clock.monotonic() - start) / 1000);
  }
}

/** Asked for once at each scrape; NaN while the stream cannot be reached, for 0 would say that all is well. */
function registerLag(registry: Registry, stream: UsageStream): void {
  let asked: Promise<StreamLag> | undefined;
  const lag = () => {
    asked ??= stream.lag().finally(() => {
      asked = undefined;
    });
    return asked;
  };
  const gauge = (name: string, help: string, pick: (lag: StreamLag) => number) =>
    new Gauge({
      name,
      help,
      registers: [registry],
      async collect() {
        this.set(await lag().then(pick, () => Number.NaN));
      },
    });
  gauge('openclaw_usage_stream_lag_entries', 'Usage events that are not yet acknowledged.', ({ entries }) => entries);
  gauge(
    'openclaw_usage_stream_oldest_seconds',
    'Age of the oldest usage event that is not yet acknowledged.',
    ({ oldestMs }) => oldestMs / 1000,
  );
}
