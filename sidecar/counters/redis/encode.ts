import type { Limit, Plan } from '../../../schemas/policy-io.ts';
import { USAGE_EVENT_VERSION } from '../../../schemas/usage-event.ts';
import { USUAL_MS } from '../calendar-window.ts';
import type { EventSubject } from '../contract.ts';
import { counterField, type PartitionKeys } from '../keys.ts';
import { boundsAt } from '../periods.ts';

/** What the scripts are given, as JSON text: see the headers of `lua/*.lua`. */

interface Encoded {
  tenantId: string;
  text: string;
  /** From when until when the bounds of its windows are those around the caller's clock. */
  from: number;
  until: number;
}

/** A plan is memoised by its input, so the same object comes again and again: its text is made once for each period. */
const texts = new WeakMap<Plan, Encoded>();

/** `now` is where in the calendar the store is thought to be, in epoch milliseconds. */
export function encodePlan(plan: Plan, tenantId: string, keys: PartitionKeys, now: number): string {
  const known = texts.get(plan);
  if (known?.tenantId === tenantId && known.from <= now && now < known.until) return known.text;
  const encoded: Encoded = { tenantId, text: '', from: Number.NEGATIVE_INFINITY, until: Number.POSITIVE_INFINITY };
  const encode = (limit: Limit) => {
    if (limit.kind === 'window') {
      const [, start, next] = boundsAt(limit.window, now);
      encoded.from = Math.max(encoded.from, start);
      encoded.until = Math.min(encoded.until, next);
    }
    return encodeLimit(limit, tenantId, keys, now);
  };
  encoded.text = JSON.stringify({
    limits: plan.limits.map(encode),
    candidates: plan.candidates.map(({ model, limits }) => ({
      model,
      json: JSON.stringify(model),
      limits: limits.map(encode),
    })),
  });
  texts.set(plan, encoded);
  return encoded.text;
}

function encodeLimit(limit: Limit, tenantId: string, keys: PartitionKeys, now: number) {
  const { billed, capacity, cost, id, kind, on_exceed, settles, unit } = limit;
  return {
    id,
    kind: kind[0],
    key: keys.subject(tenantId, limit.subject),
    field: counterField(limit),
    event: opened({ id, kind, unit, ...(billed && { billed }) }),
    unit,
    capacity,
    cost,
    deny: on_exceed === 'deny',
    settles,
    thresholds: limit.thresholds,
    on_exceed,
    ...rule(limit, now),
  };
}

function rule(limit: Limit, now: number) {
  switch (limit.kind) {
    case 'token_bucket': {
      const { amount, mode, per_seconds } = limit.refill;
      return { amount, period: per_seconds * 1000, interval: mode === 'interval' };
    }
    case 'window': {
      const { period, rollover } = limit.window;
      return { bounds: boundsAt(limit.window, now), usual: USUAL_MS[period], rollover: rollover?.max ?? 0 };
    }
    case 'concurrency':
      return {};
  }
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
