import type { Sql } from 'postgres';
import { billingCycleOf, type Cycle, cycleAt } from '../cycles.ts';
import { ms } from './billable-sql.ts';
import { instant, type Terms } from './scope.ts';

/** The tenant's cycle that begins then: by the ledger, which knows how it was at that time, else by the configuration. */
export async function cycleOf(
  { start, tenantId }: { start: number; tenantId: string },
  { tenants }: Terms,
  sql: Sql,
): Promise<Cycle | undefined> {
  const [known] = await sql.unsafe(
    `select ${ms('cycle_end')} as "end" from usage_rollups where tenant_id = $1 and cycle_start = $2::timestamptz limit 1`,
    [tenantId, instant(start)],
    { prepare: true },
  );
  if (known) return { start, end: known.end };
  const cycle = cycleAt(start, billingCycleOf(tenants, tenantId));
  return cycle.start === start ? cycle : undefined;
}
