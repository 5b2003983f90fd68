import { type Context, Hono } from 'hono';
import { z } from 'zod';
import { decimalSchema } from '../../schemas/amounts.ts';
import { wireError } from '../../schemas/errors.ts';
import { INVOICE_STATES } from '../../schemas/invoice-tables.ts';
import { readCursor, writeCursor } from '../audit/cursor.ts';
import { billingCycleOf, cycleAt } from '../cycles.ts';
import { type InvoicingDeps, previewCycle } from '../invoices/close-cycle.ts';
import { CreditRefused, issueCreditNote } from '../invoices/credit-note.ts';
import { lineOf } from '../invoices/document.ts';
import { invoiceIdOf } from '../invoices/invoice-id.ts';
import { lineEvents, listInvoices } from '../invoices/read.ts';
import { changeState } from '../invoices/states.ts';
import { answerInvoice } from './invoice-formats.ts';
import { jsonBody } from './json-body.ts';
import { readQueryParameters } from './query-parameters.ts';
import { sourceIp } from './source-ip.ts';

const text = z
  .string()
  .min(1)
  .max(1_024)
  .refine((value) => !value.includes('\u0000'));
const limit = z
  .string()
  .regex(/^\d{1,4}$/)
  .transform(Number)
  .pipe(z.int().min(1).max(1_000))
  .default(100);
const LIMIT = 'must be a whole number from 1 to 1000';

const listSchema = z.strictObject({
  tenant_id: text.optional(),
  state: z.enum(INVOICE_STATES).optional(),
  limit,
  after: text.optional(),
});
const LIST_RIGHT = {
  tenant_id: 'must name a tenant, or be left out for all of them',
  state: `must be ${INVOICE_STATES.join(', ')}, or be left out`,
  limit: LIMIT,
  after: 'must be the "next" of the page before',
};

const eventsSchema = z.strictObject({
  limit,
  after: z
    .string()
    .transform(readCursor)
    .refine((cursor) => cursor !== undefined)
    .optional(),
});
const EVENTS_RIGHT = { limit: LIMIT, after: 'must be the "next" of the page before' };

const creditSchema = z.strictObject({ amount: decimalSchema.optional(), reason: text });
const stateSchema = z.strictObject({ reason: text.optional(), reference: text.optional() });

/**
 * `/v1/invoices`: the list; `/upcoming` what a tenant's running cycle comes to so far; `/{id}` one, byte for byte as it was finalised;
 * `/{id}/lines/{line}/events` what a line was made of; POST `/{id}/credit_notes`, `/{id}/paid`, `/{id}/void`. An
 * invoice is named by its id or its number. What looks after invoices is beside them: repricing, held usage, reconciling.
 */
export function invoiceRoutes(deps: InvoicingDeps): Hono {
  const { clock, sql, terms } = deps;
  const app = new Hono();
  const idOf = (c: Context) => invoiceIdOf(c.req.param('id') ?? '', sql);
  app.get('/v1/invoices', async (c) => {
    const query = readQueryParameters(new URL(c.req.url).searchParams, listSchema, LIST_RIGHT);
    if ('wrong' in query) return c.json(wireError('invalid_parameter', query.wrong), 400);
    const { tenant_id: tenantId, ...page } = query;
    return c.json(await listInvoices({ ...page, tenantId }, sql));
  });
  app.get('/v1/invoices/upcoming', async (c) => {
    const tenantId = c.req.query('tenant_id');
    if (!tenantId) return c.json(wireError('invalid_parameter', '"tenant_id" must name a tenant'), 400);
    const cycle = cycleAt(clock.now(), billingCycleOf(terms().tenants, tenantId));
    const { currency, events, held, lines, total } = await previewCycle(tenantId, cycle, deps);
    const period = { start: new Date(cycle.start).toISOString(), end: new Date(cycle.end).toISOString() };
    return c.json({ tenant_id: tenantId, cycle: period, currency, lines: lines.map(lineOf), total, events, held });
  });
  app.get('/v1/invoices/:id', async (c) => (await answerInvoice(c, await idOf(c), sql)) ?? unknown(c));
  app.get('/v1/invoices/:id/lines/:line/events', async (c) => {
    const query = readQueryParameters(new URL(c.req.url).searchParams, eventsSchema, EVENTS_RIGHT);
    if ('wrong' in query) return c.json(wireError('invalid_parameter', query.wrong), 400);
    const line = Number(c.req.param('line'));
    if (!Number.isSafeInteger(line)) return unknown(c, 'line');
    const found = await lineEvents({ ...query, invoiceId: await idOf(c), line }, sql);
    if (!found) return unknown(c, 'line');
    return c.json({ data: found.data, next: found.next && writeCursor(found.next) });
  });
  app.post('/v1/invoices/:id/credit_notes', async (c) => {
    const body = await jsonBody(c, creditSchema);
    if ('wrong' in body) return c.json(wireError('invalid_parameter', body.wrong), 400);
    const { amount, reason } = body.value;
    try {
      const note = await issueCreditNote(
        { invoiceId: await idOf(c), amount, reason, by: 'admin', sourceIp: sourceIp(c) },
        deps,
      );
      return note ? c.json(note, 201) : unknown(c);
    } catch (error) {
      if (error instanceof CreditRefused) return c.json(wireError('invalid_operation', error.message), 409);
      throw error;
    }
  });
  for (const state of ['paid', 'void'] as const) {
    app.post(`/v1/invoices/:id/${state}`, async (c) => {
      const body = await jsonBody(c, stateSchema);
      if ('wrong' in body) return c.json(wireError('invalid_parameter', body.wrong), 400);
      const id = await idOf(c);
      const change = { ...body.value, state, at: clock.now(), by: 'admin', sourceIp: sourceIp(c) };
      const changed = await changeState(id, change, sql);
      if (!changed) return unknown(c);
      if (!changed.refused) return c.json({ id, state: changed.state });
      return c.json(wireError('invalid_operation', `the invoice is ${changed.state}, and cannot become ${state}`), 409);
    });
  }
  return app;
}

const unknown = (c: Context, what = 'invoice') =>
  c.json(wireError('resource_not_found', `there is no such ${what}`), 404);
