import type { HttpBindings } from '@hono/node-server';
import { type Context, Hono } from 'hono';
import { accepts } from 'hono/accepts';
import type { Sql } from 'postgres';
import { z } from 'zod';
import type { Log } from '../../runtime/log.ts';
import { wireError } from '../../schemas/errors.ts';
import { invoiceCsv, invoiceRows, type StatedInvoice } from '../exports/invoice-rows.ts';
import { invoicesOf } from '../exports/read-month.ts';
import { readQueryParameters } from './query-parameters.ts';

const querySchema = z.strictObject({
  month: z.string().regex(/^(?!0000)\d{4}-(0[1-9]|1[0-2])$/),
  tenant_id: z
    .string()
    .min(1)
    .max(1_024)
    .refine((value) => !value.includes('\u0000'))
    .optional(),
  format: z.enum(['csv', 'json']).optional(),
});
const RIGHT = {
  month: 'must be a month of the calendar, such as 2026-10',
  tenant_id: 'must name a tenant, or be left out for all of them',
  format: 'must be csv or json, or be left out',
};

/**
 * `GET /v1/invoices/export`: a row for each line of all invoices and credit notes that were finalised in a month of UTC. As that is the
 * date on them, a month that is over never changes. However many there are, a hundred are in memory at once.
 */
export function exportRoutes({ log, sql }: { sql: Sql; log: Log }): Hono {
  const app = new Hono();
  app.get('/v1/invoices/export', async (c) => {
    const query = readQueryParameters(new URL(c.req.url).searchParams, querySchema, RIGHT);
    if ('wrong' in query) return c.json(wireError('invalid_parameter', query.wrong), 400);
    const { month, tenant_id: tenantId } = query;
    const pages = invoicesOf({ ...monthOf(month), tenantId }, sql);
    // Asked for before the answer begins: an error is then an answer of its own.
    const first = await pages.next();
    const all = pagesFrom(first.value ?? [], pages);
    const accepted = accepts(c, { header: 'Accept', supports: ['application/json', 'text/csv'], default: '' });
    c.header('Vary', 'Accept');
    if ((query.format ?? (accepted === 'text/csv' ? 'csv' : 'json')) === 'json') {
      return c.body(streamOf(orBreak(jsonOf(all), c, log)), 200, { 'Content-Type': 'application/json' });
    }
    return c.body(streamOf(orBreak(csvOf(all), c, log)), 200, {
      'Content-Type': 'text/csv; charset=utf-8; header=present',
      'Content-Disposition': `attachment; filename="invoices-${month}.csv"`,
    });
  });
  return app;
}

function monthOf(month: string): { from: number; to: number } {
  const from = new Date(`${month}-01T00:00:00Z`);
  return { from: from.getTime(), to: new Date(from).setUTCMonth(from.getUTCMonth() + 1) };
}

type Pages = AsyncIterable<StatedInvoice[]>;

async function* pagesFrom(first: StatedInvoice[], rest: Pages): AsyncGenerator<StatedInvoice[]> {
  yield first;
  yield* rest;
}

async function* csvOf(pages: Pages): AsyncGenerator<string> {
  yield invoiceCsv([], { header: true });
  for await (const page of pages) yield invoiceCsv(page.flatMap(invoiceRows), { header: false });
}

async function* jsonOf(pages: Pages): AsyncGenerator<string> {
  yield '{"data":[';
  let separator = '';
  for await (const page of pages) {
    const rows = page.flatMap(invoiceRows);
    if (rows.length) yield separator + JSON.stringify(rows).slice(1, -1);
    if (rows.length) separator = ',';
  }
  yield ']}';
}

const streamOf = (texts: AsyncIterable<string>): ReadableStream =>
  ReadableStream.from(texts).pipeThrough(new TextEncoderStream());

/**
 * An error breaks the connection, so that nobody takes the part before it for the whole: the server of @hono/node-server would write the
 * message of the error after that part, and end the answer in order.
 */
async function* orBreak(texts: AsyncIterable<string>, c: Context, log: Log): AsyncGenerator<string> {
  try {
    yield* texts;
  } catch (error) {
    log.error({ err: error, path: c.req.routePath }, 'an answer was broken off');
    const { outgoing } = (c.env ?? {}) as Partial<HttpBindings>;
    if (!outgoing) throw error;
    outgoing.destroy();
  }
}
