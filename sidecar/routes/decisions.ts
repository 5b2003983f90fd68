import { Hono } from 'hono';
import type { DecisionRecordBody } from '../../schemas/decision-record.ts';
import type { CounterStore, DecisionRecord } from '../counters/contract.ts';
import { decisionTime } from '../decision/decision-id.ts';
import type { IdentifiedEnv } from '../identity/authenticate.ts';
import { instant } from './instant.ts';
import { Refusal } from './refusal.ts';

/**
 * `GET /v1/decisions/{id}`: what was decided and why, where a record of it is kept. `?tenant_id=` must be the
 * decision's, and so must be the caller's own: another tenant's is unknown.
 */
export function decisionRoutes({ store }: { store: Pick<CounterStore, 'record'> }): Hono<IdentifiedEnv> {
  const app = new Hono<IdentifiedEnv>();
  app.get('/v1/decisions/:id', async (c) => {
    const id = c.req.param('id');
    const record = decisionTime(id) === undefined ? undefined : await store.record(id);
    const { tenant_id: own } = c.get('identity').bound;
    const tenants = [...(c.req.queries('tenant_id') ?? []), ...(own === undefined ? [] : [own])];
    if (!record || tenants.some((tenant) => tenant !== record.tenantId)) throw unknown(id);
    return c.json(body(record));
  });
  return app;
}

const unknown = (id: string) =>
  new Refusal(
    404,
    'resource_not_found',
    `no record of decision ${JSON.stringify(id)}; one is kept for 24 hours where something settles or a request_id was given, and of every decision the billing worker's ledger has the usage events`,
  );

function body({ decidedAt, decisionId, outcome, policyRevision, state, tenantId }: DecisionRecord): DecisionRecordBody {
  return {
    decision_id: decisionId,
    tenant_id: tenantId,
    state,
    decided_at: new Date(decidedAt).toISOString(),
    policy_revision: policyRevision ?? null,
    candidate: outcome.candidate,
    limits: outcome.limits.map((limit) => ({
      id: limit.id,
      on_exceed: limit.on_exceed,
      capacity: limit.capacity,
      before: limit.before,
      after: limit.used,
      remaining: limit.remaining,
      used_percent: limit.used_percent,
      crossed: limit.crossed,
      reset_at: instant(limit.reset_at),
    })),
    closed: outcome.closed.map(({ candidate, gate, until }) => ({ gate, candidate, until: instant(until) })),
  };
}
