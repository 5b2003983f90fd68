import { Counter, type Registry } from 'prom-client';
import { LabelSets, type Labels, OTHER } from '../../runtime/metrics/label-sets.ts';
import { FromZero, gaugeOf } from '../../runtime/metrics/observed.ts';
import { QuickHistogram, type Series } from '../../runtime/metrics/quick-histogram.ts';
import type { ModelsConfig } from '../../schemas/config/models.ts';
import type { LedgerRow } from '../ledger/ledger-row.ts';
import { providerCost } from './provider-cost.ts';

const TOKEN_TYPES = ['input', 'output', 'cache_read', 'cache_write'] as const;

/** Models that have a latency of their own. */
const MAX_LATENCIES = 50;
/** A call to a model takes from half a second to minutes. */
const LATENCY_BUCKETS = [0.1, 0.25, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600];

const LABELS = ['tenant', 'end_user', 'model'] as const;

/** What a tenant's user has used of a model since this process began. */
interface Total {
  labels: Labels;
  allowed: number;
  denied: number;
  input: number;
  output: number;
  cache_read: number;
  cache_write: number;
  /** Millionths of a USD. */
  spent: number;
  bucketCharged: number;
  bucketReturned: number;
  bucketChargedUsd: number;
  bucketReturnedUsd: number;
  begun: FromZero;
}

export interface UsageTotalsOptions {
  maxSets: number;
  models: () => ModelsConfig;
}

/** Requests, tokens and spend by tenant, user and model, and how long calls take by model. */
export class UsageTotals {
  readonly #totals: Total[] = [];
  readonly #sets: LabelSets<Total>;
  readonly #models: () => ModelsConfig;
  readonly #latency: QuickHistogram;
  readonly #latencies = new Map<string, Series>();

  constructor(registry: Registry, { maxSets, models }: UsageTotalsOptions) {
    this.#models = models;
    this.#sets = new LabelSets(maxSets, (labels) => this.#create(labels));
    this.#latency = new QuickHistogram({
      name: 'openclaw_llm_latency_seconds',
      help: 'Time from a decision to the report of its usage, by model: about what the call took.',
      buckets: LATENCY_BUCKETS,
      registers: [registry],
    });
    registerTotals(registry, this.#totals);
    const help = 'Tenants, users and models (together) that have series of their own; METRICS_MAX_LABEL_SETS at most.';
    gaugeOf(registry, 'openclaw_metrics_label_sets', help, () => this.#sets.size);
  }

  /** A row that is new in the ledger. */
  add(row: LedgerRow): void {
    const { candidate, denied, model, requests, tenant_id, user_id } = row;
    const answered = candidate ?? model ?? '';
    const total = this.#sets.of(tenant_id, user_id ?? '', answered);
    total.allowed += requests;
    total.denied += denied;
    addUsage(total, row, answered, this.#models());
    addBucket(total, row);
    if (row.type === 'settled')
      this.#latencyOf(answered).observe((row.at.getTime() - row.decided_at.getTime()) / 1_000);
  }

  #create(labels: Labels): Total {
    const total: Total = {
      labels,
      allowed: 0,
      denied: 0,
      input: 0,
      output: 0,
      cache_read: 0,
      cache_write: 0,
      spent: 0,
      bucketCharged: 0,
      bucketReturned: 0,
      bucketChargedUsd: 0,
      bucketReturnedUsd: 0,
      begun: new FromZero(),
    };
    this.#totals.push(total);
    return total;
  }

  #latencyOf(answered: string): Series {
    const model = this.#latencies.has(answered) || this.#latencies.size < MAX_LATENCIES ? answered : OTHER;
    const series = this.#latencies.get(model) ?? this.#latency.series({ model });
    this.#latencies.set(model, series);
    return series;
  }
}

function addUsage(total: Total, row: LedgerRow, model: string, models: ModelsConfig): void {
  if (row.input_tokens === undefined && row.output_tokens === undefined) return;
  total.input += row.input_tokens ?? 0;
  total.output += row.output_tokens ?? 0;
  total.cache_read += row.cache_read_tokens ?? 0;
  total.cache_write += row.cache_write_tokens ?? 0;
  total.spent += providerCost(row, model, models);
}

/** What a settle or a void gives back is counted by itself: a counter never goes back. */
function addBucket(total: Total, { price_per_token, tokens }: LedgerRow): void {
  const amount = Number(tokens);
  if (amount === 0) return;
  const usd = Math.abs(amount) * Number(price_per_token);
  if (amount > 0) {
    total.bucketCharged += amount;
    total.bucketChargedUsd += usd;
  } else {
    total.bucketReturned -= amount;
    total.bucketReturnedUsd += usd;
  }
}

function registerTotals(registry: Registry, totals: readonly Total[]): void {
  const counter = <Extra extends string>(
    name: string,
    help: string,
    values: (total: Total) => readonly (readonly [labels: Record<Extra, string>, value: number])[],
    extra: readonly Extra[] = [],
  ) =>
    new Counter({
      name,
      help,
      labelNames: [...LABELS, ...extra],
      registers: [registry],
      collect() {
        this.reset();
        for (const total of totals) {
          for (const [index, [labels, value]] of values(total).entries()) {
            if (value) this.inc({ ...total.labels, ...labels }, total.begun.at(`${name} ${index}`, value));
          }
        }
      },
    });
  const plain = (name: string, help: string, value: (total: Total) => number) =>
    counter(name, help, (total) => [[{}, value(total)]]);

  counter(
    'openclaw_requests_total',
    'Requests by tenant, user and model, allowed or denied.',
    ({ allowed, denied }) => [
      [{ status: 'allowed' }, allowed],
      [{ status: 'denied' }, denied],
    ],
    ['status'],
  );
  counter(
    'openclaw_llm_tokens_total',
    'LLM tokens that were reported, as the provider counts them.',
    (total) => TOKEN_TYPES.map((type) => [{ type }, total[type]]),
    ['type'],
  );
  plain('openclaw_spend_usd_total', 'What the provider asks for these, by the rate card.', ({ spent }) => spent / 1e6);
  plain('openclaw_bucket_tokens_charged_total', 'Bucket tokens that were taken.', (total) => total.bucketCharged);
  plain('openclaw_bucket_tokens_returned_total', 'Of these, given back.', (total) => total.bucketReturned);
  plain('openclaw_bucket_charged_usd_total', 'Their price, by tenants.yaml.', (total) => total.bucketChargedUsd);
  plain('openclaw_bucket_returned_usd_total', 'Of it, given back.', (total) => total.bucketReturnedUsd);
}
