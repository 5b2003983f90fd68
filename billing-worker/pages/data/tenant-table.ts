import type { Sql } from 'postgres';
import { billingCycleOf } from '../../cycles.ts';
import type { Terms } from '../../invoices/scope.ts';
import type { Calendar } from '../../ledger/calendar.ts';
import { planSpans } from '../../pricing/plan.ts';
import { usageByDay } from './usage-by-day.ts';

/** What a tenant used in its running billing cycle. */
export interface TenantRow {
  tenantId: string;
  plan: string | undefined;
  currency: string;
  users: number;
  requests: number;
  denied: number;
  spend: string;
  /** Epoch milliseconds. */
  cycleEnd: number;
}

interface TenantTableDeps {
  sql: Sql;
  calendar: Calendar;
  terms: () => Terms;
  clock: { now(): number };
}

/** Tenants of the configuration, and any others that have used something lately. */
export async function tenantIds({ clock, sql, terms }: TenantTableDeps): Promise<string[]> {
  const now = new Date(clock.now()).toISOString();
  const used = await sql`
    select distinct tenant_id from usage_rollups where tenant_id <> '' and cycle_end > ${now}::timestamptz`;
  const names = new Set([...Object.keys(terms().tenants.tenants), ...used.map(({ tenant_id }) => tenant_id as string)]);
  return [...names].sort();
}

export async function tenantRow(
  tenantId: string,
  { calendar, clock, sql, terms }: TenantTableDeps,
): Promise<TenantRow> {
  const now = clock.now();
  const { tenants } = terms();
  const { cycle } = calendar.at(now, billingCycleOf(tenants, tenantId));
  const dateOf = (instant: number) => calendar.at(instant, billingCycleOf(tenants, tenantId)).day.date;
  const scope = { tenantId, from: dateOf(cycle.start), to: dateOf(cycle.end), daily: false };
  const byUser = await usageByDay({ ...scope, by: 'user' }, terms(), sql);
  const [total] = await usageByDay({ ...scope, by: 'total' }, terms(), sql);
  const [span] = planSpans(tenants, tenantId, { start: now, end: now + 1 });
  return {
    tenantId,
    plan: span?.name,
    currency: span?.plan.currency ?? 'USD',
    users: byUser.filter(({ key }) => key !== '').length,
    requests: total?.requests ?? 0,
    denied: total?.denied ?? 0,
    spend: total?.spend ?? '0',
    cycleEnd: cycle.end,
  };
}
