import { Hono } from 'hono';
import type { Sql } from 'postgres';
import { z } from 'zod';
import { wireError } from '../../schemas/errors.ts';
import { heldUsage } from '../held/held-usage.ts';
import type { Terms } from '../invoices/scope.ts';
import { readQueryParameters } from './query-parameters.ts';

const schema = z.strictObject({
  tenant_id: z
    .string()
    .min(1)
    .refine((text) => !text.includes('\u0000'))
    .optional(),
});
const RIGHT = { tenant_id: 'must name a tenant, or be left out for all of them' };

/** `GET /v1/held`: what is not billed because its model has no price, by tenant and model. */
export function heldRoutes({ sql, terms }: { sql: Sql; terms: () => Terms }): Hono {
  const app = new Hono();
  app.get('/v1/held', async (c) => {
    const query = readQueryParameters(new URL(c.req.url).searchParams, schema, RIGHT);
    if ('wrong' in query) return c.json(wireError('invalid_parameter', query.wrong), 400);
    return c.json({ data: await heldUsage(query.tenant_id, terms(), sql) });
  });
  return app;
}
