import type { Sql } from 'postgres';
import { ms } from '../invoices/billable-sql.ts';
import { instant } from '../invoices/scope.ts';

/** Where an invoice was sent, and what Stripe has told of it since. */
export async function readDeliveries(invoiceId: string, sql: Sql) {
  const deliveries = await sql.unsafe(
    `select target, state, attempts, ${ms('next_at')} as next_at, external_id, last_error, ${ms('updated_at')} as updated_at
     from invoice_deliveries where invoice_id = $1 order by target`,
    [invoiceId],
    { prepare: true },
  );
  const events = await sql.unsafe(
    `select id, type, ${ms('at')} as at from stripe_events where invoice_id = $1 order by at, id`,
    [invoiceId],
    { prepare: true },
  );
  return {
    data: deliveries.map(({ next_at, updated_at, ...row }) => ({
      ...row,
      next_at: row.state === 'pending' ? instant(next_at) : null,
      updated_at: instant(updated_at),
    })),
    stripe_events: events.map(({ at, ...row }) => ({ ...row, at: instant(at) })),
  };
}

/**
 * Sends it now, again or, of one that is older than the target, at all. False: there is no such invoice or target. One that was
 * delivered stays so.
 */
export async function requeueDelivery(invoiceId: string, target: string, sql: Sql): Promise<boolean> {
  const rows = await sql`
    insert into invoice_deliveries as d (invoice_id, target, state, attempts, refusals, next_at)
    select i.id, t.target, 'pending', 0, 0, now() from invoices i, delivery_targets t
    where i.id = ${invoiceId} and t.target = ${target}
    on conflict (invoice_id, target) do update set
      state = case when d.state = 'delivered' then d.state else 'pending' end,
      -- Not 0: it is no first attempt.
      attempts = case when d.state = 'failed' then 1 else d.attempts end,
      next_at = case when d.state = 'failed' then now() else d.next_at end,
      refusals = case when d.state = 'failed' then d.refusals + 1 else d.refusals end
    returning state`;
  return rows.length > 0;
}
