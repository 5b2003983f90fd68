import { type Context, Hono } from 'hono';
import { z } from 'zod';
import { wireError } from '../../schemas/errors.ts';
import type { Cycle } from '../cycles.ts';
import { cycleOf } from '../invoices/find-cycle.ts';
import { type ReconcileDeps, reconcile } from '../reconcile/reconcile.ts';
import { repairRollups } from '../reconcile/repair.ts';
import { INSTANT, instantParameter } from './instant-parameter.ts';
import { jsonBody } from './json-body.ts';
import { readQueryParameters } from './query-parameters.ts';
import { sourceIp } from './source-ip.ts';

const MAX_TENANTS = 1_000;

const name = z
  .string()
  .max(1_024)
  .refine((text) => !text.includes('\u0000'));
const schema = z
  .strictObject({
    tenant_id: name.optional(),
    cycle: instantParameter.optional(),
    limit: z
      .string()
      .regex(/^\d{1,4}$/)
      .transform(Number)
      .pipe(z.int().min(1).max(MAX_TENANTS))
      .default(100),
    after: name.optional(),
  })
  .refine(({ cycle, tenant_id }) => cycle === undefined || tenant_id !== undefined, { path: ['cycle'] });
const RIGHT = {
  tenant_id: 'must name a tenant, or be left out for all of them',
  cycle: `${INSTANT}, the beginning of a cycle of "tenant_id", which is then needed`,
  limit: `must be a whole number of tenants from 1 to ${MAX_TENANTS}`,
  after: 'must be the "next" of the page before',
};
const repairSchema = z.strictObject({
  tenant_id: name,
  cycle: instantParameter,
  dry_run: z.boolean().default(false),
});

/**
 * `GET /v1/reconcile`: where the ledger, its rollups, the invoices and the counters do not agree. `POST /v1/reconcile/repair` makes the
 * rollups of a tenant's cycle what the ledger sums up to.
 */
export function reconcileRoutes(deps: ReconcileDeps): Hono {
  const app = new Hono();
  app.get('/v1/reconcile', async (c) => {
    const query = readQueryParameters(new URL(c.req.url).searchParams, schema, RIGHT);
    if ('wrong' in query) return c.json(wireError('invalid_parameter', query.wrong), 400);
    const { after, limit, tenant_id: tenantId } = query;
    if (query.cycle === undefined || tenantId === undefined) {
      return c.json(await reconcile({ tenantId, limit, after }, deps));
    }
    const cycle = await known(tenantId, query.cycle, deps);
    return cycle ? c.json(await reconcile({ tenantId, cycle, limit }, deps)) : unknown(c);
  });
  app.post('/v1/reconcile/repair', async (c) => {
    const body = await jsonBody(c, repairSchema);
    if ('wrong' in body) return c.json(wireError('invalid_parameter', body.wrong), 400);
    const { cycle: start, dry_run: dryRun, tenant_id: tenantId } = body.value;
    const cycle = await known(tenantId, start, deps);
    if (!cycle) return unknown(c);
    const cycleStart = new Date(cycle.start).toISOString();
    const actor = { by: 'admin', sourceIp: sourceIp(c) };
    const repaired = await repairRollups({ tenantId, cycleStart, dryRun, ...actor }, deps);
    return c.json({ tenant_id: tenantId, cycle: cycleStart, dry_run: dryRun, ...repaired });
  });
  return app;
}

const known = (tenantId: string, start: string, { sql, terms }: ReconcileDeps): Promise<Cycle | undefined> =>
  cycleOf({ tenantId, start: Date.parse(start) }, terms(), sql);

const unknown = (c: Context) =>
  c.json(wireError('resource_not_found', 'no cycle of this tenant begins then; /v1/usage says when one does'), 404);
