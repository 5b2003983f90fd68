import type { Sql } from 'postgres';
import { ms } from './billable-sql.ts';
import type { DraftLine } from './draft.ts';
import { flatLine } from './flat-line.ts';

/** A correction of an earlier invoice that no invoice has as a line yet. */
export interface PendingAdjustment {
  id: string;
  line: DraftLine;
}

/** $1: whose, $2: the currency; one in another waits for an invoice in its own. */
const PENDING_SQL = `
select a.id, a.amount::text as amount, i.document::json ->> 'number' as number,
  ${ms('i.cycle_start')} as cycle_start, ${ms('i.cycle_end')} as cycle_end
from invoice_adjustments a join invoices i on i.id = a.invoice_id
where a.tenant_id = $1 and a.currency = $2
  and not exists (select from billed_adjustments b where b.adjustment_id = a.id)
order by a.id`;

/** Those of a tenant, the oldest first. */
export async function pendingAdjustments(tenantId: string, currency: string, sql: Sql): Promise<PendingAdjustment[]> {
  const rows = await sql.unsafe(PENDING_SQL, [tenantId, currency], { prepare: true });
  return rows.map(({ amount, cycle_end, cycle_start, id, number }) => ({
    id,
    line: flatLine({
      kind: 'reprice',
      description: `Correction of ${number}: its usage at the prices that hold`,
      amount,
      cycle: { start: cycle_start, end: cycle_end },
      adjustment: true,
    }),
  }));
}
