import type { Sql } from 'postgres';
import { billingCycleOf, type Cycle, cycleAt } from '../cycles.ts';
import { planSpans } from '../pricing/plan.ts';
import { ms } from './billable-sql.ts';
import { instant, type Terms } from './scope.ts';

/** A cycle that is over and has no invoice. */
export interface DueCycle {
  tenantId: string;
  cycle: Cycle;
}

export interface DueOptions {
  /** Cycles that ended until then. */
  endedBy: number;
  /** Undefined: all tenants. */
  tenantId?: string | undefined;
}

/** $1: when they must have ended; $2: whose, or null. */
const USED_SQL = `
  select distinct tenant_id, ${ms('cycle_start')} as cycle_start, ${ms('cycle_end')} as cycle_end from usage_rollups r
  where cycle_end <= $1::timestamptz and tenant_id <> '' and ($2::text is null or tenant_id = $2)
    and (requests <> 0 or tokens <> 0 or input_tokens <> 0 or output_tokens <> 0)
    and not exists (
      select from invoices i where i.kind = 'invoice' and i.tenant_id = r.tenant_id and i.cycle_start = r.cycle_start)`;

/** From when on a tenant is known, and until when it has invoices. $1: which, or null. */
const KNOWN_SQL = `
  select tenant_id, ${ms('min(cycle_start)')} as first, (
      select ${ms('max(cycle_end)')} from invoices i where i.kind = 'invoice' and i.tenant_id = r.tenant_id
    ) as until
  from usage_rollups r
  where tenant_id <> '' and ($1::text is null or tenant_id = $1)
  group by tenant_id`;

/**
 * Cycles that are to be closed, each tenant's oldest first: those with usage, and, of a tenant with a fee or a minimum, each one
 * from its first usage on.
 */
export async function dueCycles({ endedBy, tenantId }: DueOptions, terms: Terms, sql: Sql): Promise<DueCycle[]> {
  const used = await sql.unsafe(USED_SQL, [instant(endedBy), tenantId ?? null], { prepare: true });
  const due = new Map<string, DueCycle>();
  const add = (one: DueCycle) => due.set(JSON.stringify([one.tenantId, one.cycle.start]), one);
  for (const { cycle_end, cycle_start, tenant_id } of used) {
    add({ tenantId: tenant_id, cycle: { start: cycle_start, end: cycle_end } });
  }
  for (const one of await feeCycles({ endedBy, tenantId }, terms, sql)) add(one);
  return [...due.values()].sort(
    (a, b) => (a.tenantId < b.tenantId ? -1 : a.tenantId > b.tenantId ? 1 : 0) || a.cycle.start - b.cycle.start,
  );
}

/** A fee is owed for a cycle without usage too. */
async function feeCycles({ endedBy, tenantId }: DueOptions, terms: Terms, sql: Sql): Promise<DueCycle[]> {
  const known = await sql.unsafe(KNOWN_SQL, [tenantId ?? null], { prepare: true });
  return known.flatMap(({ first, tenant_id, until }) => {
    const from = until ?? first;
    return cyclesFrom(tenant_id, from, endedBy, terms).filter(({ cycle }) => hasFee(tenant_id, cycle, terms));
  });
}

function cyclesFrom(tenantId: string, from: number, endedBy: number, { tenants }: Terms): DueCycle[] {
  const terms = billingCycleOf(tenants, tenantId);
  const cycles: DueCycle[] = [];
  for (let cycle = cycleAt(from, terms); cycle.end <= endedBy; cycle = cycleAt(cycle.end, terms)) {
    if (cycle.start >= from) cycles.push({ tenantId, cycle });
  }
  return cycles;
}

const hasFee = (tenantId: string, cycle: Cycle, { tenants }: Terms) =>
  planSpans(tenants, tenantId, cycle).some(({ plan }) => plan.base_fee !== undefined || plan.minimum !== undefined);
