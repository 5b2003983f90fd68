import type { Sql } from 'postgres';
import { invoiceCsv, invoiceRows } from '../exports/invoice-rows.ts';
import { readPrinted } from '../exports/read-printed.ts';
import { invoicePage, PAGE_POLICY } from './invoice-page.ts';
import { PAGE_HEADERS } from './respond.tsx';
import type { PageContext } from './session/guard.ts';

/** Undefined: there is no such invoice, or it is another tenant's. */
async function find(id: string, tenantId: string | undefined, sql: Sql) {
  const printed = await readPrinted(id, sql);
  return printed && (tenantId === undefined || printed.document.tenant_id === tenantId) ? printed : undefined;
}

/** The invoice to print, under its own policy: it has its own style and nothing else. */
export async function invoicePageAnswer(c: PageContext, id: string, tenantId: string | undefined, sql: Sql) {
  const printed = await find(id, tenantId, sql);
  return printed && c.html(invoicePage(printed), 200, { ...PAGE_HEADERS, 'Content-Security-Policy': PAGE_POLICY });
}

export async function invoiceCsvAnswer(c: PageContext, id: string, tenantId: string | undefined, sql: Sql) {
  const printed = await find(id, tenantId, sql);
  return printed && csvAnswer(c, invoiceCsv(invoiceRows(printed), { header: true }), `${printed.document.number}.csv`);
}

export const csvAnswer = (c: PageContext, text: string, filename: string): Response =>
  c.body(text, 200, {
    ...PAGE_HEADERS,
    'Content-Type': 'text/csv; charset=utf-8; header=present',
    'Content-Disposition': `attachment; filename="${filename}"`,
  });
