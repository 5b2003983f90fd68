import type { Sql } from 'postgres';
import type { Clock } from '../../runtime/clock.ts';
import { billingCycleOf, type Cycle, cycleAt } from '../cycles.ts';
import type { Terms } from '../invoices/scope.ts';
import { type CounterDrift, counterDrift } from './counters.ts';
import { type InvoiceDrift, invoiceDrift } from './invoices.ts';
import { type Bounds, type RollupDrift, rollupDrift } from './rollups.ts';

export interface ReconcileDeps {
  sql: Sql;
  terms: () => Terms;
  clock: Clock;
}

interface Found<Drift> {
  /** How many there are; not all of them may be told. */
  found: number;
  drifts: Drift[];
}

/** What does not agree of a tenant. */
export interface TenantDrift {
  tenant_id: string;
  rollups: Found<RollupDrift>;
  invoices: Found<InvoiceDrift>;
  counters: Found<CounterDrift>;
}

export interface ReconcileQuery {
  /** Undefined: all tenants, `limit` of them, those after `after`. */
  tenantId?: string | undefined;
  /** Undefined: every cycle, and of the counters the one that runs. */
  cycle?: Cycle | undefined;
  limit: number;
  after?: string | undefined;
}

export interface Reconciled {
  ok: boolean;
  /** How many tenants were looked at. */
  checked: number;
  /** Those of which something does not agree. */
  data: TenantDrift[];
  /** The `after` of the next page of tenants. */
  next: string | null;
}

const BOUNDS: Bounds = { drifts: 20, decisions: 20 };

/** Proves that the ledger, its rollups, the invoices and the counters agree, tenant by tenant. Changes nothing. */
export async function reconcile(query: ReconcileQuery, deps: ReconcileDeps): Promise<Reconciled> {
  const { tenantId } = query;
  const all = tenantId === undefined ? await tenantsAfter(query.after ?? null, query.limit + 1, deps.sql) : [tenantId];
  const page = all.slice(0, tenantId === undefined ? query.limit : 1);
  const data: TenantDrift[] = [];
  for (const tenant of page) {
    const drift = await reconcileTenant(tenant, query.cycle, deps);
    if (drift.rollups.found || drift.invoices.found || drift.counters.found) data.push(drift);
  }
  const next = all.length > page.length ? (page.at(-1) ?? null) : null;
  return { ok: data.length === 0, checked: page.length, data, next };
}

async function reconcileTenant(tenantId: string, cycle: Cycle | undefined, deps: ReconcileDeps): Promise<TenantDrift> {
  const { clock, sql } = deps;
  const terms = deps.terms();
  const asked = { tenantId, cycleStart: cycle ? new Date(cycle.start).toISOString() : null };
  const counted = cycle ?? cycleAt(clock.now(), billingCycleOf(terms.tenants, tenantId));
  const period = { tenantId, from: counted.start, to: counted.end, now: clock.now() };
  return {
    tenant_id: tenantId,
    rollups: await rollupDrift(asked, BOUNDS, sql),
    invoices: await invoiceDrift(asked, BOUNDS, { sql, terms }),
    counters: await counterDrift(period, BOUNDS, sql),
  };
}

/** From indexes, and not from all events. $1: the one before, or null, $2: how many. */
const TENANTS_SQL = `
with recursive used(id) as (
  (select tenant_id from usage_events where $1::text is null or tenant_id > $1::text order by tenant_id limit 1)
  union all
  select (select tenant_id from usage_events where tenant_id > used.id order by tenant_id limit 1) from used
  where used.id is not null
)
select id from (
  (select id from used where id is not null limit $2)
  union
  (select distinct tenant_id from usage_rollups where $1::text is null or tenant_id > $1::text order by 1 limit $2)
  union
  (select distinct tenant_id from invoices where $1::text is null or tenant_id > $1::text order by 1 limit $2)
) as tenants order by id limit $2`;

async function tenantsAfter(after: string | null, limit: number, sql: Sql): Promise<string[]> {
  const rows = await sql.unsafe(TENANTS_SQL, [after, String(limit)], { prepare: true });
  return rows.map(({ id }) => id);
}
