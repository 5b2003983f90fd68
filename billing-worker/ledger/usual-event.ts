import { USAGE_EVENT_VERSION, type UsageEvent } from '../../schemas/usage-event.ts';

type Check = (value: unknown) => boolean;

const TYPES = new Set<unknown>(['consumed', 'reserved', 'settled', 'voided', 'expired', 'adjusted', 'denied']);

const text: Check = (value) => typeof value === 'string';
const name: Check = (value) => typeof value === 'string' && value !== '';
const flag: Check = (value) => typeof value === 'boolean';
const signed: Check = (value) => Number.isSafeInteger(value);
const amount: Check = (value) => Number.isSafeInteger(value) && (value as number) >= 0;

/** An object that has all of the first fields, some of the second, and no other. */
function shape(required: Record<string, Check>, optional: Record<string, Check> = {}): Check {
  const checks = new Map(Object.entries({ ...optional, ...required }));
  const needed = new Set(Object.keys(required));
  return (value) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
    let found = 0;
    for (const key of Object.keys(value)) {
      if (!checks.get(key)?.((value as Record<string, unknown>)[key])) return false;
      if (needed.has(key)) found++;
    }
    return found === needed.size;
  };
}

const limit = shape(
  { id: text, kind: text, unit: text, amount: signed, before: signed, after: signed, period_start: amount },
  { billed: flag },
);
const limits: Check = (value) => Array.isArray(value) && value.every(limit);
const usage = shape({}, { input: amount, output: amount, cache_read: amount, cache_write: amount, reasoning: amount });

const event = shape(
  {
    v: (value) => value === USAGE_EVENT_VERSION,
    id: name,
    type: (value) => TYPES.has(value),
    decision_id: name,
    tenant_id: text,
    limits,
    outcome: shape({ granted: flag, reason: text }),
    count: (value) => amount(value) && value !== 0,
    decided_at: amount,
    at: amount,
  },
  {
    request_id: text,
    run_id: text,
    user_id: text,
    team_id: text,
    project_id: text,
    department_id: text,
    agent_id: text,
    channel: text,
    credential_id: text,
    source_ip: text,
    provider: text,
    model: text,
    candidate: text,
    usage,
    policy_revision: text,
    degraded: flag,
  },
);

/**
 * Whether it is for certain that `usageEventSchema` takes an event, and as it is. What is not usual may be right all the same, and is
 * left to the schema, such as a field that is not named here. The schema takes 6 µs an event, this 1.5. `json` must come from a text
 * without an escape of the form `\u`, so that no string in it holds NUL or a lone surrogate.
 */
export const isUsual = (json: unknown): json is UsageEvent => event(json);
