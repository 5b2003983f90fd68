import type { Sql } from 'postgres';
import { minorDigits } from '../../schemas/config/currency.ts';
import type { TokenCounts } from '../../schemas/config/token-charges.ts';
import { billingCycleOf, type Cycle } from '../cycles.ts';
import { exact, fixed } from '../pricing/exact.ts';
import { type InvoiceLine, invoiceLines, type SpanUsage } from '../pricing/invoice-lines.ts';
import { pendingAdjustments } from './adjustments.ts';
import { BILLED_BEFORE_SQL, BILLED_HELD_SQL, BILLED_SUMS_SQL, HELD_SQL, SUMS_SQL } from './billable-sql.ts';
import { type Billed, type BilledOn, billedScopeOf, instant, type Scope, scopeOf, type Terms } from './scope.ts';

/** Usage that waits for a price. */
export interface Held {
  model: string;
  events: number;
  tokens: string;
  first: string;
  last: string;
}

/** What a cycle comes to as it stands. */
export interface Draft {
  scope: Scope;
  currency: string;
  lines: DraftLine[];
  total: string;
  /** How many events it is made of, and what tells them from others. */
  events: number;
  digest: string;
  held: Held[];
  /** The ids of corrections of earlier invoices that are lines of it. */
  adjustments: string[];
}

/** With what finds its events: the names that they give the model, and the span of the price. */
export interface DraftLine extends Omit<InvoiceLine, 'kind' | 'unit'> {
  kind: InvoiceLine['kind'] | 'credit' | 'reprice';
  unit: InvoiceLine['unit'] | 'invoices' | 'lines';
  span_start: number;
  span_end: number;
  model_names: string[] | null;
  price_to: number | null;
}

/** Computes what is billable now. Writes nothing. */
export async function draftOf(billed: Billed, terms: Terms, sql: Sql): Promise<Draft> {
  const scope = await scopeOf(billed, terms, sql);
  const usage = await computed({ ...billed, scope, sums: SUMS_SQL, held: HELD_SQL, before: null }, terms, sql);
  const pending = await pendingAdjustments(billed.tenantId, usage.currency, sql);
  const lines = [...usage.lines, ...pending.map(({ line }) => line)];
  const total = lines.reduce((sum, { amount }) => sum + exact(amount), 0n);
  return {
    ...usage,
    lines,
    total: fixed(total, minorDigits(usage.currency)),
    adjustments: pending.map(({ id }) => id),
  };
}

/** What the events that an invoice has billed come to now. Writes nothing. */
export async function draftAgain(billed: BilledOn, terms: Terms, sql: Sql): Promise<Draft> {
  const scope = await billedScopeOf(billed, terms, sql);
  const statements = { sums: BILLED_SUMS_SQL, held: BILLED_HELD_SQL, before: billed.invoiceId };
  return { ...(await computed({ ...billed, scope, ...statements }, terms, sql)), adjustments: [] };
}

interface Computed {
  tenantId: string;
  cycle: Cycle;
  scope: Scope;
  /** The statements that sum up what is billable, and what is held. */
  sums: string;
  held: string;
  /** Only what was billed before this invoice counts as such; null: before now. */
  before: string | null;
}

async function computed(
  { before, cycle, held, scope, sums, tenantId }: Computed,
  { tenants }: Terms,
  sql: Sql,
): Promise<Omit<Draft, 'adjustments'>> {
  const rows = (await sql.unsafe(sums, scope.parameters, { prepare: true })) as unknown as SumRow[];
  const billed = await billedBefore({ tenantId, cycle, before }, scope, sql);
  const waiting = await sql.unsafe(held, scope.parameters, { prepare: true });
  const usage = usageOf(rows, scope, billed);
  const spans = scope.spans.filter((one) => one.cycle.start === cycle.start).map(({ span }) => span);
  const { timezone } = billingCycleOf(tenants, tenantId);
  const { currency, lines, total } = invoiceLines({ cycle, spans, usage, timezone });
  return {
    scope,
    currency,
    lines: lines.map((line) => withSources(line, scope, rows)),
    total,
    events: rows.reduce((sum, { events }) => sum + events, 0),
    digest: String(rows.reduce((sum, { digest }) => sum + BigInt(digest), 0n)),
    held: waiting.map(({ events, first, last, model, tokens }) => ({
      model,
      events,
      tokens,
      first: instant(first),
      last: instant(last),
    })),
  };
}

interface SumRow extends Record<keyof TokenCounts, string> {
  /** Epoch milliseconds. */
  cycle_start: number;
  span: number;
  price_per_token: string;
  by_card: boolean;
  model_id: string | null;
  price_from: string | null;
  events: number;
  digest: string;
  requests: string;
  tokens: string;
  names: string[];
}

async function billedBefore(
  { before, cycle, tenantId }: Pick<Computed, 'before' | 'cycle' | 'tenantId'>,
  { spans }: Scope,
  sql: Sql,
): Promise<Map<string, bigint>> {
  const earlier = spans.filter((one) => one.cycle.start !== cycle.start);
  if (earlier.length === 0) return new Map();
  const asked = earlier.map(({ cycle: { start }, span: { from, index, to } }) => ({
    cycle_start: new Date(start),
    i: index,
    from: new Date(from),
    to: new Date(to),
  }));
  const rows = await sql.unsafe(BILLED_BEFORE_SQL, [tenantId, JSON.stringify(asked), before], { prepare: true });
  return new Map(rows.map(({ cycle_start, span, tokens }) => [`${cycle_start} ${span}`, BigInt(tokens)]));
}

function usageOf(rows: SumRow[], { prices, spans }: Scope, before: Map<string, bigint>): SpanUsage[] {
  return spans.map(({ cycle, span }) => {
    const own = rows.filter((row) => row.cycle_start === cycle.start && row.span === span.index);
    return {
      cycle,
      span,
      billedBefore: before.get(`${cycle.start} ${span.index}`) ?? 0n,
      bucket: bucketOf(own),
      models: modelsOf(own, prices),
    };
  });
}

/** Models with one price per bucket token are one sum. */
function bucketOf(rows: SumRow[]): SpanUsage['bucket'] {
  const sums = new Map<string, { tokens: bigint; requests: bigint }>();
  for (const { price_per_token, requests, tokens } of rows) {
    const sum = sums.get(price_per_token) ?? { tokens: 0n, requests: 0n };
    sums.set(price_per_token, { tokens: sum.tokens + BigInt(tokens), requests: sum.requests + BigInt(requests) });
  }
  return [...sums].map(([price, sum]) => ({ pricePerToken: price, ...sum }));
}

const COUNTS = ['input', 'output', 'cache_read', 'cache_write', 'reasoning'] as const;

/** One for each model and price. */
function modelsOf(rows: SumRow[], prices: Scope['prices']): SpanUsage['models'] {
  const found = new Map<string, SpanUsage['models'][number]>();
  for (const row of rows) {
    if (!row.by_card) continue;
    const key = `${row.model_id} ${row.price_from}`;
    const usage = found.get(key) ?? nothingUsed(row, prices);
    for (const type of COUNTS) usage.usage[type] += BigInt(row[type]);
    found.set(key, usage);
  }
  return [...found.values()];
}

function nothingUsed({ model_id: model, price_from }: SumRow, prices: Scope['prices']): SpanUsage['models'][number] {
  const found = prices.find(({ id, span }) => id === model && String(span.from) === price_from);
  if (!model || !found?.span.price) throw new Error(`no price for ${model}, which was found to have one`);
  const usage = { input: 0n, output: 0n, cache_read: 0n, cache_write: 0n, reasoning: 0n };
  return { model, priceFrom: found.span.from, price: found.span.price, usage };
}

function withSources(line: InvoiceLine, { prices, spans }: Scope, rows: SumRow[]): DraftLine {
  const found = spans.find(({ cycle, span }) => cycle.start === line.cycle.start && span.index === line.span);
  const price = prices.find(({ id, span }) => id === line.model && span.from === line.price_from);
  const names = rows
    .filter((row) => row.model_id === line.model && row.cycle_start === line.cycle.start)
    .flatMap((row) => row.names);
  return {
    ...line,
    span_start: found?.span.from ?? line.cycle.start,
    span_end: found?.span.to ?? line.cycle.end,
    model_names: line.model === undefined ? null : [...new Set(names)].sort(),
    price_to: price && price.span.to !== Number.MAX_SAFE_INTEGER ? price.span.to : null,
  };
}
