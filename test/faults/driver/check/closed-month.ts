import type { Sql } from 'postgres';
import type { ClosedMonth } from '../closed-month.ts';
import type { Journal } from '../journal.ts';
import { PRICE_PER_TOKEN } from '../rig.ts';
import type { Row } from './evidence.ts';

const CENTS_PER_TOKEN = BigInt(Number(PRICE_PER_TOKEN) * 100);

/** I5: a closed month is the sum of its events, does not change, and what is late for it is in the next one. */
export async function checkClosedMonth(
  month: ClosedMonth,
  rows: readonly Row[],
  journal: Journal,
  sql: Sql,
): Promise<string[]> {
  const { close, late } = journal;
  const own = rows.filter(({ tenant_id }) => tenant_id === month.tenant);
  const known = new Map(own.map((row) => [row.id, row]));
  const lost = late.filter(({ arrived, id }) => arrived && !known.has(id));
  const invoices = await sql`select id from invoices where tenant_id = ${month.tenant}`;
  const billed = await sql`select event_id from billed_events where invoice_id = ${close.invoiceId ?? ''}`;
  const onInvoice = new Set(billed.map(({ event_id }) => event_id as string));
  const sum = (some: Row[]) => some.reduce((total, { tokens }) => total + tokens * CENTS_PER_TOKEN, 0n);
  const closedSum = sum(own.filter(({ id }) => onInvoice.has(id)));
  const lateSum = sum(own.filter(({ id }) => !onInvoice.has(id)));
  const upcoming = await month.upcoming();
  const bytes = await month.document();
  return [
    ...lost.map(({ id }) => `I5: ${id} came late, and is lost`),
    ...(invoices.length === 1 ? [] : [`I5: there are ${invoices.length} invoices of one month`]),
    ...(bytes === close.bytes ? [] : [`I5: the invoice was ${close.bytes}, and is ${bytes}`]),
    ...differs('the closed month', close.total, closedSum),
    ...differs('what is late', upcoming && JSON.parse(upcoming).total, lateSum),
  ];
}

function differs(what: string, said: string | undefined, sum: bigint): string[] {
  const cents = said === undefined ? undefined : BigInt(Math.round(Number(said) * 100));
  return cents === sum ? [] : [`I5: ${what} comes to ${said}, and its events to ${sum} cents`];
}
