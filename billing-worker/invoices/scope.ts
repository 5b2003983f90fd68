import type { Sql } from 'postgres';
import type { ModelsConfig } from '../../schemas/config/models.ts';
import { type PriceSpan, rateCardOf } from '../../schemas/config/rate-card.ts';
import type { TenantsConfig } from '../../schemas/config/tenants.ts';
import type { Cycle } from '../cycles.ts';
import { type PlanSpan, planSpans } from '../pricing/plan.ts';
import { BILLED_SCOPE_SQL, SCOPE_SQL } from './billable-sql.ts';

/** By what usage is priced: the configuration as it is now, which says what held when. */
export interface Terms {
  tenants: TenantsConfig;
  models: ModelsConfig;
}

/** A cycle of a tenant that is to be billed. */
export interface Billed {
  tenantId: string;
  cycle: Cycle;
  /** Of earlier cycles, events that were recorded before this are on their invoices, or held: epoch milliseconds. */
  lateSince: number;
}

/** What an invoice has billed. */
export interface BilledOn {
  tenantId: string;
  cycle: Cycle;
  invoiceId: string;
}

/** All by which the events of a cycle, and late ones of earlier cycles, are told apart and priced. */
export interface Scope {
  spans: { cycle: Cycle; span: PlanSpan }[];
  /** `id` of a model, and the span of its price. */
  prices: { name: string; id: string; span: PriceSpan }[];
  /** $1 to $6 of every statement that begins with `BILLABLE`. */
  parameters: string[];
}

export async function scopeOf({ cycle, lateSince, tenantId }: Billed, terms: Terms, sql: Sql): Promise<Scope> {
  const own = [tenantId, instant(cycle.start), instant(cycle.end), instant(lateSince)];
  const found = await sql.unsafe(SCOPE_SQL, own, { prepare: true });
  return scopeWith({ tenantId, cycle, own, found: found as unknown as FoundRow[] }, terms);
}

export async function billedScopeOf({ cycle, invoiceId, tenantId }: BilledOn, terms: Terms, sql: Sql): Promise<Scope> {
  const own = [tenantId, instant(cycle.start), instant(cycle.end), invoiceId];
  const found = await sql.unsafe(BILLED_SCOPE_SQL, [invoiceId], { prepare: true });
  return scopeWith({ tenantId, cycle, own, found: found as unknown as FoundRow[] }, terms);
}

/** Epoch milliseconds, and the model as an event names it. */
interface FoundRow {
  cycle_start: number;
  cycle_end: number;
  model: string;
}

function scopeWith(
  { cycle, found, own, tenantId }: { tenantId: string; cycle: Cycle; own: string[]; found: FoundRow[] },
  terms: Terms,
): Scope {
  const cycles = new Map([[cycle.start, cycle]]);
  for (const { cycle_end, cycle_start } of found) {
    cycles.set(cycle_start, { start: cycle_start, end: cycle_end });
  }
  const spans = [...cycles.values()].flatMap((one) =>
    planSpans(terms.tenants, tenantId, one).map((span) => ({ cycle: one, span })),
  );
  const prices = [...new Set(found.map(({ model }) => model))].flatMap((name) => pricesOf(name, terms));
  return { spans, prices, parameters: [...own, spansParameter(spans), pricesParameter(prices)] };
}

/** A name without a price at some time has no row for it: its usage is held. */
function pricesOf(name: string, { models }: Terms): Scope['prices'] {
  const card = rateCardOf(models);
  const id = card.resolve(name);
  if (id === undefined) return [];
  return card.spans(name).flatMap((span) => (span.price ? [{ name, id, span }] : []));
}

const spansParameter = (spans: Scope['spans']) =>
  JSON.stringify(
    spans.map(({ cycle, span: { from, index, plan, to } }) => ({
      cycle_start: instant(cycle.start),
      i: index,
      from: instant(from),
      to: instant(to),
      rate_card: plan.rate_card,
    })),
  );

const pricesParameter = (prices: Scope['prices']) =>
  JSON.stringify(
    prices.map(({ id, name, span: { from, to } }) => ({
      name,
      id,
      price_from: String(from),
      from: boundary(from),
      to: boundary(to),
    })),
  );

export const instant = (milliseconds: number): string => new Date(milliseconds).toISOString();

/** The spans of a price go on for ever at both ends. */
export const boundary = (milliseconds: number) => {
  if (milliseconds === Number.MIN_SAFE_INTEGER) return '-infinity';
  return milliseconds === Number.MAX_SAFE_INTEGER ? 'infinity' : instant(milliseconds);
};
