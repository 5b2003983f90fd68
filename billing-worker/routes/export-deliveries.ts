import { Hono } from 'hono';
import type { Sql } from 'postgres';
import { wireError } from '../../schemas/errors.ts';
import { readDeliveries, requeueDelivery } from '../exports/read-deliveries.ts';
import { invoiceIdOf } from '../invoices/invoice-id.ts';
import { readInvoice } from '../invoices/read.ts';

/**
 * `GET /v1/invoices/{id}/deliveries`: where it was sent, and what became of it. `POST /v1/invoices/{id}/deliveries/{target}` sends
 * it now: one that failed again, one that is older than the target at all.
 */
export function deliveryRoutes({ sql }: { sql: Sql }): Hono {
  const app = new Hono();
  app.get('/v1/invoices/:id/deliveries', async (c) => {
    const id = await invoiceIdOf(c.req.param('id'), sql);
    if (!(await readInvoice(id, sql))) return c.json(wireError('resource_not_found', 'there is no such invoice'), 404);
    return c.json(await readDeliveries(id, sql));
  });
  app.post('/v1/invoices/:id/deliveries/:target', async (c) => {
    const target = c.req.param('target');
    const id = await invoiceIdOf(c.req.param('id'), sql);
    if (await requeueDelivery(id, target, sql)) return c.json(await readDeliveries(id, sql), 202);
    return c.json(wireError('resource_not_found', 'there is no such invoice, or no such target'), 404);
  });
  return app;
}
