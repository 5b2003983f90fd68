import type { Limit, Plan } from '../../../schemas/policy-io.ts';
import { USAGE_EVENT_VERSION } from '../../../schemas/usage-event.ts';
import type { EventSubject } from '../contract.ts';
import { encodeName, type PartitionKeys } from '../keys.ts';

/** What the scripts are given, as JSON text: see the headers of `lua/*.lua`. */

/** A plan is memoised by its input, so the same object comes again and again: its text is made once. */
const texts = new WeakMap<Plan, { tenantId: string; text: string }>();

export function encodePlan(plan: Plan, tenantId: string, keys: PartitionKeys): string {
  const known = texts.get(plan);
  if (known?.tenantId === tenantId) return known.text;
  const limits = (list: Limit[]) => list.map((limit) => encodeLimit(limit, tenantId, keys));
  const text = JSON.stringify({
    limits: limits(plan.limits),
    candidates: plan.candidates.map(({ model, limits: own }) => ({
      model,
      json: JSON.stringify(model),
      limits: limits(own),
    })),
  });
  texts.set(plan, { tenantId, text });
  return text;
}

function encodeLimit(limit: Limit, tenantId: string, keys: PartitionKeys) {
  const { id, kind, unit, billed } = limit;
  return {
    id,
    key: keys.subject(tenantId, limit.subject),
    field: encodeName(id),
    event: opened({ id, kind, unit, ...(billed && { billed }) }),
    unit,
    capacity: limit.capacity,
    cost: limit.cost,
    amount: limit.refill.amount,
    period: limit.refill.per_seconds * 1000,
    interval: limit.refill.mode === 'interval',
    deny: limit.on_exceed === 'deny',
    settles: limit.settles,
    on_exceed: limit.on_exceed,
  };
}

export function encodeAbout(decisionId: string, { model, ...event }: EventSubject): string {
  return JSON.stringify({
    id: decisionId,
    tenant: event.tenant_id,
    revision: event.policy_revision ?? '',
    model: model === undefined ? '' : `,"model":${JSON.stringify(model)}`,
    event: opened({ v: USAGE_EVENT_VERSION, decision_id: decisionId, ...event }),
  });
}

/** JSON of an object without its closing brace: the script goes on from there. */
const opened = (value: object) => JSON.stringify(value).slice(0, -1);

/** JSON members to go on with: each with a comma before it. */
export const members = (value: object): string => {
  const inner = JSON.stringify(value).slice(1, -1);
  return inner && `,${inner}`;
};
