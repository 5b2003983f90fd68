import type { Sql } from 'postgres';
import type { Clock } from '../../runtime/clock.ts';
import { type Actor, auditedSql } from '../invoices/audit-sql.ts';
import type { InvoiceDocument } from '../invoices/document.ts';
import { instant } from '../invoices/scope.ts';
import type { ComparedLine } from './compare.ts';

/**
 * In: $1 the id, $2 the invoice, $3 the amount, $4 the currency, $5 the lines as JSON, $6 when, $7 who and $8 from where, $9 how
 * many there were of the invoice when it was compared.
 */
const ADJUST_SQL = `
with added as (
  insert into invoice_adjustments (id, invoice_id, step, tenant_id, amount, currency, lines, created_at, by)
  select $1::text, i.id, $9::int + 1, i.tenant_id, $3::numeric,
    $4::text, $5::text::jsonb, $6::timestamptz, $7::text
  from invoices i where i.id = $2
  returning id, invoice_id, tenant_id, amount, currency, created_at
), audited as (${auditedSql({
  action: 'invoice.repriced',
  id: `id || ':repriced'`,
  actor: '$7::text',
  sourceIp: '$8::text',
  tenantId: 'tenant_id',
  target: 'invoice_id',
  reason: `amount || ' ' || currency || ' on the next invoice'`,
  at: 'created_at',
  from: 'added',
})})
select id from added`;

export interface Adjustment extends Actor {
  id: string;
  invoice: InvoiceDocument;
  amount: string;
  currency: string;
  lines: ComparedLine[];
  /** How many there were of the invoice when it was compared. */
  steps: number;
}

/** Puts an amount on the tenant's next invoice. Throws a conflict if another one of the invoice came in between. */
export async function writeAdjustment(
  { amount, by, currency, id, invoice, lines, sourceIp, steps }: Adjustment,
  { clock, sql }: { sql: Sql; clock: Clock },
): Promise<void> {
  const parameters = [id, invoice.id, amount, currency, JSON.stringify(lines), instant(clock.now()), by];
  await sql.unsafe(ADJUST_SQL, [...parameters, sourceIp ?? null, String(steps)], { prepare: true });
}
