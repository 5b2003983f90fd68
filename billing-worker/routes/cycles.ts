import { type Context, Hono } from 'hono';
import { z } from 'zod';
import { wireError } from '../../schemas/errors.ts';
import type { Cycle } from '../cycles.ts';
import { type Closed, closeCycle, type InvoicingDeps, previewCycle } from '../invoices/close-cycle.ts';
import { lineOf } from '../invoices/document.ts';
import type { Draft } from '../invoices/draft.ts';
import { dueCycles } from '../invoices/due-cycles.ts';
import { cycleOf } from '../invoices/find-cycle.ts';
import { readCycleId, writeCycleId } from './cycle-id.ts';
import { INSTANT, instantParameter } from './instant-parameter.ts';
import { readQueryParameters } from './query-parameters.ts';
import { sourceIp } from './source-ip.ts';

export interface CyclesDeps extends InvoicingDeps {
  /** How long after its end a cycle waits for late usage. */
  graceMs: number;
}

const name = z
  .string()
  .min(1)
  .refine((text) => !text.includes('\u0000'));
const dueSchema = z.strictObject({ tenant_id: name.optional(), through: instantParameter.optional() });
const RIGHT = {
  tenant_id: 'must name a tenant, or be left out for all of them',
  through: `${INSTANT}: cycles that ended by then`,
};

/**
 * `GET /v1/cycles`: those that are over and have no invoice. `POST /v1/cycles/{id}/close` makes the invoice of one, once, however often it is
 * asked for; `GET /v1/cycles/{id}/preview` says what it would be.
 */
export function cycleRoutes(deps: CyclesDeps): Hono {
  const { clock, graceMs, sql, terms } = deps;
  const app = new Hono();
  app.get('/v1/cycles', async (c) => {
    const query = readQueryParameters(new URL(c.req.url).searchParams, dueSchema, RIGHT);
    if ('wrong' in query) return c.json(wireError('invalid_parameter', query.wrong), 400);
    const endedBy = clock.now() - graceMs;
    const through = query.through === undefined ? endedBy : Math.min(endedBy, Date.parse(query.through));
    const due = await dueCycles({ endedBy: through, tenantId: query.tenant_id }, terms(), sql);
    return c.json({ data: due.map(({ cycle, tenantId }) => heading(tenantId, cycle)) });
  });
  app.get('/v1/cycles/:id/preview', (c) =>
    withCycle(c, deps, async (tenantId, cycle) =>
      c.json({ ...heading(tenantId, cycle), ...previewed(await previewCycle(tenantId, cycle, deps)) }),
    ),
  );
  app.post('/v1/cycles/:id/close', (c) =>
    withCycle(c, deps, async (tenantId, cycle) => {
      const closesAt = cycle.end + graceMs;
      if (clock.now() < closesAt) {
        const from = new Date(closesAt).toISOString();
        const message = `the cycle can be closed from ${from} on: its end and CYCLE_GRACE_S for late usage`;
        return c.json(wireError('invalid_operation', message), 409);
      }
      return c.json(closed(await closeCycle(tenantId, cycle, 'admin', deps, sourceIp(c))));
    }),
  );
  return app;
}

async function withCycle(
  c: Context,
  { sql, terms }: CyclesDeps,
  work: (tenantId: string, cycle: Cycle) => Promise<Response>,
): Promise<Response> {
  const id = readCycleId(c.req.param('id') ?? '');
  const cycle = id && (await cycleOf(id, terms(), sql));
  if (id && cycle) return work(id.tenantId, cycle);
  const message = id
    ? `no cycle of this tenant begins then; GET /v1/cycles lists those that are due`
    : 'a cycle is named by tenant and beginning, such as acme@2026-10-01T00:00:00.000Z';
  return c.json(wireError(id ? 'resource_not_found' : 'invalid_parameter', message), id ? 404 : 400);
}

const heading = (tenantId: string, { end, start }: Cycle) => ({
  id: writeCycleId({ tenantId, start }),
  tenant_id: tenantId,
  cycle: { start: new Date(start).toISOString(), end: new Date(end).toISOString() },
});

const previewed = ({ currency, events, held, lines, total }: Draft) => ({
  currency,
  lines: lines.map(lineOf),
  total,
  events,
  held,
});

const closed = ({ already, cycle, held, invoice, tenantId }: Closed) => ({
  ...heading(tenantId, cycle),
  invoice: invoice ?? null,
  already,
  held,
});
