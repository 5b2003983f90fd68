import type { Sql } from 'postgres';
import type { INVOICE_STATES } from '../../schemas/invoice-tables.ts';
import { isConflict } from '../database/errors.ts';
import { type Actor, auditedSql } from './audit-sql.ts';
import { SHOWN_TOTAL } from './billable-sql.ts';
import { instant } from './scope.ts';

export type InvoiceState = (typeof INVOICE_STATES)[number];

/** What may follow: a payment can be taken back by voiding, and nothing follows that. */
const NEXT: Record<InvoiceState, readonly InvoiceState[]> = {
  finalised: ['paid', 'void'],
  paid: ['void'],
  void: [],
};

export interface StateChange extends Actor {
  state: Exclude<InvoiceState, 'finalised'>;
  at: number;
  reason?: string | undefined;
  reference?: string | undefined;
}

/** In: $1 the invoice, $2 the step, $3 the state, $4 when, $5 who, $6 why, $7 where the payment is, $8 from which address. */
const CHANGE_SQL = `
with state as (
  insert into invoice_states (invoice_id, step, state, at, by, reason, reference)
  values ($1::text, $2::int, $3::text, $4::timestamptz, $5::text, $6::text, $7::text)
  returning invoice_id, state, at
), audited as (${auditedSql({
  action: { sql: `'invoice.' || state` },
  id: `id || ':' || state`,
  actor: '$5::text',
  sourceIp: '$8::text',
  tenantId: 'tenant_id',
  target: 'id',
  reason: `coalesce($6::text, $7::text, ${SHOWN_TOTAL})`,
  at: 'at',
  from: 'state join invoices on id = invoice_id',
})})
select state from state`;

/** Undefined: there is no such invoice. The same state again changes nothing. `refused`: the state that it is in. */
export async function changeState(
  invoiceId: string,
  change: StateChange,
  sql: Sql,
): Promise<{ state: InvoiceState; refused?: boolean } | undefined> {
  for (let tries = 0; ; tries++) {
    const [latest] = await sql`
      select step, state from invoice_states where invoice_id = ${invoiceId} order by step desc limit 1`;
    if (!latest) return undefined;
    const { state, step } = latest as unknown as { state: InvoiceState; step: number };
    if (state === change.state) return { state };
    if (!NEXT[state].includes(change.state)) return { state, refused: true };
    const { at, by, reason = null, reference = null, sourceIp = null } = change;
    try {
      const parameters = [invoiceId, String(step + 1), change.state, instant(at), by, reason, reference, sourceIp];
      await sql.unsafe(CHANGE_SQL, parameters, { prepare: true });
      return { state: change.state };
    } catch (error) {
      if (!isConflict(error) || tries > 5) throw error;
    }
  }
}
