import type { Sql } from 'postgres';

/** `INV-000012`: the issuer, and a number of six digits at least. */
const NUMBER = /^(.+)-(\d{6,18})$/;

/** The id of the invoice that an id or a number names; what names none is given back, and found nowhere. */
export async function invoiceIdOf(named: string, sql: Sql): Promise<string> {
  const [, issuer, number] = NUMBER.exec(named) ?? [];
  if (issuer === undefined || number === undefined) return named;
  const [found] = await sql`
    select id from invoices where id = ${named} or (issuer = ${issuer} and number = ${number}::bigint)`;
  return found?.id ?? named;
}
