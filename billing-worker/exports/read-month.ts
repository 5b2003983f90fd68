import type { Sql } from 'postgres';
import { instant } from '../invoices/scope.ts';
import type { StatedInvoice } from './invoice-rows.ts';

/** So many invoices are in memory at once. */
const PAGE = 100;

export interface MonthQuery {
  /** Half-open, epoch milliseconds. */
  from: number;
  to: number;
  /** Undefined: all tenants. */
  tenantId?: string | undefined;
}

const PAGE_SQL = `
select i.id, i.document, latest.state from invoices i
join lateral (select state from invoice_states s where s.invoice_id = i.id order by step desc limit 1) as latest on true
where i.finalised_at >= $1::timestamptz and i.finalised_at < $2::timestamptz and ($3::text is null or i.tenant_id = $3)
  and i.id > $4 order by i.id limit $5`;

/** All invoices and credit notes that were finalised then, the oldest first, a page after the other. */
export async function* invoicesOf({ from, tenantId, to }: MonthQuery, sql: Sql): AsyncGenerator<StatedInvoice[]> {
  for (let after = '', last = false; !last; ) {
    const parameters = [instant(from), instant(to), tenantId ?? null, after, String(PAGE)];
    const rows = await sql.unsafe(PAGE_SQL, parameters, { prepare: true });
    yield rows.map(({ document, state }) => ({ document: JSON.parse(document), state }));
    last = rows.length < PAGE;
    after = rows.at(-1)?.id ?? after;
  }
}
