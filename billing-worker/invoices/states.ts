import type { Sql } from 'postgres';
import type { INVOICE_STATES } from '../../schemas/invoice-tables.ts';
import { isConflict } from '../database/errors.ts';
import { instant } from './scope.ts';

export type InvoiceState = (typeof INVOICE_STATES)[number];

/** What may follow: a payment can be taken back by voiding, and nothing follows that. */
const NEXT: Record<InvoiceState, readonly InvoiceState[]> = {
  finalised: ['paid', 'void'],
  paid: ['void'],
  void: [],
};

export interface StateChange {
  state: InvoiceState;
  at: number;
  by: string;
  reason?: string | undefined;
  reference?: string | undefined;
}

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
    const { at, by, reason = null, reference = null } = change;
    try {
      await sql`
        insert into invoice_states (invoice_id, step, state, at, by, reason, reference)
        values (${invoiceId}, ${step + 1}, ${change.state}, ${instant(at)}::timestamptz, ${by}, ${reason}, ${reference})`;
      return { state: change.state };
    } catch (error) {
      if (!isConflict(error) || tries > 5) throw error;
    }
  }
}
