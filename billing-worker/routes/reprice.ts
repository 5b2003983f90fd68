import { Hono } from 'hono';
import { z } from 'zod';
import { wireError } from '../../schemas/errors.ts';
import { invoiceIdOf } from '../invoices/invoice-id.ts';
import { type RepriceDeps, RepriceRefused, reprice } from '../reprice/reprice.ts';
import { jsonBody } from './json-body.ts';
import { sourceIp } from './source-ip.ts';

const schema = z.strictObject({ dry_run: z.boolean().default(false) });

/** `POST /v1/invoices/{id}/reprice`: what an invoice's usage comes to by today's prices; the difference is settled, once. */
export function repriceRoutes(deps: RepriceDeps): Hono {
  const app = new Hono();
  app.post('/v1/invoices/:id/reprice', async (c) => {
    const body = await jsonBody(c, schema);
    if ('wrong' in body) return c.json(wireError('invalid_parameter', body.wrong), 400);
    const invoiceId = await invoiceIdOf(c.req.param('id'), deps.sql);
    const asked = { invoiceId, dryRun: body.value.dry_run, by: 'admin', sourceIp: sourceIp(c) };
    try {
      const repriced = await reprice(asked, deps);
      if (repriced) return c.json({ dry_run: body.value.dry_run, ...repriced });
      return c.json(wireError('resource_not_found', 'there is no such invoice'), 404);
    } catch (error) {
      if (error instanceof RepriceRefused) return c.json(wireError('invalid_operation', error.message), 409);
      throw error;
    }
  });
  return app;
}
