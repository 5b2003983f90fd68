import { USAGE_EVENT_VERSION, type UsageEvent } from '../../schemas/usage-event.ts';

type Fields = Record<string, unknown>;

/** Of the schema's optional texts. Listed by what they are, so that a new field of the schema is not usual until it is named here. */
const OPTIONAL_TEXTS = [
  'request_id',
  'run_id',
  'user_id',
  'team_id',
  'project_id',
  'department_id',
  'agent_id',
  'channel',
  'credential_id',
  'source_ip',
  'provider',
  'model',
  'candidate',
  'policy_revision',
] as const;
const TYPES = new Set(['consumed', 'reserved', 'settled', 'voided', 'expired', 'adjusted', 'denied']);
const USED = new Set(['input', 'output', 'cache_read', 'cache_write', 'reasoning']);
/** Keys of a limit without and with `billed`. */
const LIMIT_KEYS = 7;

/**
 * Whether it is for certain that `usageEventSchema` takes an event and changes nothing in it that is stored; what is not usual may
 * be right all the same, and is left to the schema. The schema takes 7 µs an event, this 1. `json` must come from a text without
 * an escape of the form `\u`, so that no string in it holds NUL or a lone surrogate.
 */
export function isUsual(json: unknown): json is UsageEvent {
  if (!isObject(json)) return false;
  const { at, count, decided_at, decision_id, degraded, grant, id, tenant_id, type, v } = json;
  return (
    v === USAGE_EVENT_VERSION &&
    typeof id === 'string' &&
    id !== '' &&
    TYPES.has(type as string) &&
    typeof decision_id === 'string' &&
    decision_id !== '' &&
    typeof tenant_id === 'string' &&
    OPTIONAL_TEXTS.every((name) => isOptional(json[name], 'string')) &&
    isOptional(degraded, 'boolean') &&
    grant === undefined &&
    isAmount(count) &&
    count > 0 &&
    isAmount(decided_at) &&
    isAmount(at) &&
    isOutcome(json.outcome) &&
    (json.usage === undefined || isUsage(json.usage)) &&
    Array.isArray(json.limits) &&
    json.limits.every(isLimit)
  );
}

function isLimit(limit: unknown): boolean {
  if (!isObject(limit)) return false;
  const { after, amount, before, billed, id, kind, period_start, unit } = limit;
  return (
    typeof id === 'string' &&
    typeof kind === 'string' &&
    typeof unit === 'string' &&
    isOptional(billed, 'boolean') &&
    Number.isSafeInteger(amount) &&
    Number.isSafeInteger(before) &&
    Number.isSafeInteger(after) &&
    isAmount(period_start) &&
    // What the schema leaves out must not be stored.
    Object.keys(limit).length === LIMIT_KEYS + (billed === undefined ? 0 : 1)
  );
}

function isUsage(usage: unknown): boolean {
  if (!isObject(usage)) return false;
  for (const name of Object.keys(usage)) if (!USED.has(name) || !isAmount(usage[name])) return false;
  return true;
}

const isOutcome = (outcome: unknown) =>
  isObject(outcome) && typeof outcome.granted === 'boolean' && typeof outcome.reason === 'string';

const isObject = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const isOptional = (value: unknown, type: 'string' | 'boolean') => value === undefined || typeof value === type;

/** Zero with a sign is none: it is left to the schema. */
const isAmount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
