import type { Context } from 'hono';
import { accepts } from 'hono/accepts';
import type { Sql } from 'postgres';
import { z } from 'zod';
import { wireError } from '../../schemas/errors.ts';
import { invoiceCsv, invoiceRows } from '../exports/invoice-rows.ts';
import { readPrinted } from '../exports/read-printed.ts';
import { readInvoice } from '../invoices/read.ts';
import { invoicePage, PAGE_POLICY } from '../pages/invoice-page.ts';
import { readQueryParameters } from './query-parameters.ts';

const TYPES = { json: 'application/json', csv: 'text/csv', html: 'text/html' } as const;
const FORMATS = ['json', 'csv', 'html'] as const;

const querySchema = z.strictObject({ format: z.enum(FORMATS).optional() });
const RIGHT = { format: 'must be json, csv or html, or be left out' };

/**
 * Answers with an invoice as `format` says, else as the header `Accept` does, else in JSON: that is the document byte for byte. Undefined:
 * there is no such invoice.
 */
export async function answerInvoice(c: Context, id: string, sql: Sql): Promise<Response | undefined> {
  const query = readQueryParameters(new URL(c.req.url).searchParams, querySchema, RIGHT);
  if ('wrong' in query) return c.json(wireError('invalid_parameter', query.wrong), 400);
  const found = await readInvoice(id, sql);
  if (!found) return undefined;
  c.header('Vary', 'Accept');
  c.header('X-Invoice-State', found.state);
  const accepted = accepts(c, { header: 'Accept', supports: Object.values(TYPES), default: TYPES.json });
  const format = query.format ?? FORMATS.find((each) => TYPES[each] === accepted) ?? 'json';
  if (format === 'json') return c.body(found.document, 200, { 'Content-Type': TYPES.json });
  if (format === 'html') return answerPage(c, id, sql);
  const document = JSON.parse(found.document);
  return c.body(invoiceCsv(invoiceRows({ document, state: found.state }), { header: true }), 200, {
    'Content-Type': `${TYPES.csv}; charset=utf-8; header=present`,
    'Content-Disposition': `attachment; filename="${document.number}.csv"`,
  });
}

async function answerPage(c: Context, id: string, sql: Sql): Promise<Response | undefined> {
  const printed = await readPrinted(id, sql);
  return (
    printed &&
    c.html(invoicePage(printed), 200, {
      'Content-Security-Policy': PAGE_POLICY,
      'X-Content-Type-Options': 'nosniff',
      'Referrer-Policy': 'no-referrer',
      'Cache-Control': 'private, no-store',
    })
  );
}
