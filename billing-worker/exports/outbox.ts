import type { Sql } from 'postgres';
import type { DELIVERY_STATES } from '../../schemas/delivery-tables.ts';
import { ms } from '../invoices/billable-sql.ts';
import { instant } from '../invoices/scope.ts';

type DeliveryState = (typeof DELIVERY_STATES)[number];

/** A delivery that this worker has taken for the length of a lease. */
export interface Claim {
  invoiceId: string;
  attempts: number;
  refusals: number;
  createdAt: number;
  externalId: string | undefined;
}

/** A statement each, so a transaction each; leases are by the database's clock, which all workers share. */
const ENQUEUE_SQL = `
insert into invoice_deliveries (invoice_id, target, state, attempts, refusals, next_at)
select i.id, t.target, 'pending', 0, 0, now()
from delivery_targets t join invoices i on i.finalised_at >= t.since and i.id >= $2
where t.target = $1
  and not exists (select from invoice_deliveries d where d.invoice_id = i.id and d.target = t.target)
on conflict do nothing`;

const CLAIM_SQL = `
update invoice_deliveries d set attempts = d.attempts + 1, next_at = now() + make_interval(secs => $2::float8), updated_at = now()
from (
  select invoice_id, target from invoice_deliveries
  where state = 'pending' and target = $1 and next_at <= now()
  order by next_at, invoice_id limit $3 for update skip locked
) as due
where d.invoice_id = due.invoice_id and d.target = due.target
returning d.invoice_id, d.attempts, d.refusals, ${ms('d.created_at')} as created_at, d.external_id`;

/** Not if another worker has taken it over since. */
const FAIL_SQL = `
update invoice_deliveries set state = $4, last_error = $5, refusals = refusals + $6::int,
  next_at = now() + make_interval(secs => $7::float8), updated_at = now()
where invoice_id = $1 and target = $2 and attempts = $3::int and state = 'pending'`;

/** The outbox of invoices of one target: what is to be sent there, and what became of it. */
export class Outbox {
  readonly #target: string;
  readonly #sql: Sql;

  constructor(target: string, sql: Sql) {
    this.#target = target;
    this.#sql = sql;
  }

  /** A target that is new gets what is finalised from `now` on, epoch milliseconds. */
  async open(now: number): Promise<void> {
    await this.#sql`
      insert into delivery_targets (target, since) values (${this.#target}, ${instant(now)}::timestamptz)
      on conflict do nothing`;
  }

  /** Takes up invoices that have come since. Ids begin with their time, so `since` spares looking at older ones. */
  async enqueue(since: number): Promise<void> {
    await this.#sql.unsafe(ENQUEUE_SQL, [this.#target, firstIdAt(since)], { prepare: true });
  }

  /** Takes what is due. Of two workers each gets others; what is not settled within the lease is due again. */
  async claim({ leaseMs, limit }: { leaseMs: number; limit: number }): Promise<Claim[]> {
    const parameters = [this.#target, String(leaseMs / 1000), String(limit)];
    const rows = await this.#sql.unsafe(CLAIM_SQL, parameters, { prepare: true });
    return rows.map((row) => ({
      invoiceId: row.invoice_id,
      attempts: row.attempts,
      refusals: row.refusals,
      createdAt: row.created_at,
      externalId: row.external_id ?? undefined,
    }));
  }

  /** It is this worker's for another lease; with 0 it is due at once. */
  async renew({ attempts, invoiceId }: Claim, leaseMs: number): Promise<void> {
    await this.#sql`
      update invoice_deliveries set next_at = now() + make_interval(secs => ${leaseMs / 1000}::float8)
      where invoice_id = ${invoiceId} and target = ${this.#target} and attempts = ${attempts} and state = 'pending'`;
  }

  async remember({ invoiceId }: Claim, externalId: string): Promise<void> {
    await this.#sql`
      update invoice_deliveries set external_id = ${externalId}, updated_at = now()
      where invoice_id = ${invoiceId} and target = ${this.#target} and state <> 'delivered'`;
  }

  /** Whoever has sent it: it is there. */
  async delivered({ invoiceId }: Claim, externalId: string | undefined): Promise<void> {
    await this.#sql`
      update invoice_deliveries set state = 'delivered', external_id = coalesce(${externalId ?? null}::text, external_id),
        last_error = null, updated_at = now()
      where invoice_id = ${invoiceId} and target = ${this.#target}`;
  }

  async failed(
    { attempts, invoiceId }: Claim,
    { answered, error, final, waitMs }: { error: string; answered: boolean; final: boolean; waitMs: number },
  ): Promise<void> {
    const state: DeliveryState = final ? 'failed' : 'pending';
    const parameters = [
      invoiceId,
      this.#target,
      String(attempts),
      state,
      error,
      answered ? '1' : '0',
      String(waitMs / 1000),
    ];
    await this.#sql.unsafe(FAIL_SQL, parameters, { prepare: true });
  }
}

/** The least UUIDv7 of that millisecond. */
function firstIdAt(milliseconds: number): string {
  const time = Math.max(0, milliseconds).toString(16).padStart(12, '0');
  return `${time.slice(0, 8)}-${time.slice(8)}-7000-8000-000000000000`;
}
