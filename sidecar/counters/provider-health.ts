/** For so long what is known of a model is remembered after the last change. */
export const HEALTH_TTL_MS = 30 * 24 * 60 * 60 * 1000;

/** How to back off from a model that was limited, and when its circuit opens. Times in milliseconds. */
export interface ProviderRules {
  /** How long it cools down the first time in a row, the second, …; the last of them from then on. */
  steps: number[];
  /** So much longer or shorter, at most. */
  jitter_percent: number;
  /** So many failures in a row open the circuit, each within `within` of the one before. */
  failures: number;
  within: number;
  /** How long it stays open: twice as long each time in a row, `most_open` at most. */
  open: number;
  most_open: number;
  /** One call goes through an open circuit then, and another one after so long if nothing is heard of it. */
  probe: number;
}

/** What came of a call to a model of a provider account. */
export interface ProviderOutcome {
  account: string;
  model: string;
  /** `failed`: a time-out, or the provider was unavailable. `cleared`: an operator says so. */
  result: 'succeeded' | 'rate_limit' | 'quota' | 'failed' | 'cleared';
  /** By the store's clock: what was decided before the last change says nothing of what has been since. */
  decidedAt: number;
  /** For how long not to ask again, by the provider's word. */
  retryAfterMs?: number | undefined;
  /** Where in the jitter the back-off is: from 0 to 1,000. */
  jitter: number;
}

/**
 * What is known of a model, as it is stored: see `redis/lua/includes/provider-health.lua`. Instants are epoch milliseconds of
 * the store's clock; members that do not apply are not there.
 */
export interface ModelHealth {
  v: 1;
  limited?: number;
  limited_at?: number;
  limited_until?: number;
  limited_by?: 'retry_after' | 'backoff' | 'quota';
  failures?: number;
  failed_at?: number;
  opens?: number;
  opened_at?: number;
  open_until?: number;
}

/** By model, with the store's time. */
export interface ProviderHealth {
  at: number;
  models: Map<string, ModelHealth>;
}

export const cooldownGate = (model: string): string => `cooldown:${model}`;
export const circuitGate = (model: string): string => `circuit:${model}`;

/** Until when a gate is closed, with how long it closes again behind whoever goes through then; null: it is open. */
export type GateState = number | [until: number, probeMs: number];

export interface HealthChange {
  health: ModelHealth;
  cooldown?: GateState | null;
  circuit?: GateState | null;
}

/** What is known of a model after a call, and the gates that it changes: the same as `provider-outcome-3.lua`. */
export function afterOutcome(
  health: ModelHealth,
  outcome: ProviderOutcome,
  rules: ProviderRules,
  now: number,
): HealthChange {
  switch (outcome.result) {
    case 'succeeded':
      return afterSuccess(health, outcome.decidedAt);
    case 'rate_limit':
    case 'quota':
      return cooledDown(health, outcome, rules, now);
    case 'failed':
      return afterFailure(health, outcome.decidedAt, rules, now);
    case 'cleared':
      return { health: { v: 1 }, cooldown: null, circuit: null };
  }
}

const withoutCooldown = ({ limited: _, limited_at: __, limited_until: ___, limited_by: ____, ...rest }: ModelHealth) =>
  rest;

const onlyCooldown = ({ limited, limited_at, limited_by, limited_until, v }: ModelHealth): ModelHealth =>
  limited === undefined ? { v } : ({ v, limited, limited_at, limited_until, limited_by } as ModelHealth);

function afterSuccess(health: ModelHealth, decidedAt: number): HealthChange {
  const isCool = health.limited_at !== undefined && decidedAt > health.limited_at;
  const isClosed = health.opened_at === undefined || decidedAt > health.opened_at;
  const cooled = isCool ? withoutCooldown(health) : health;
  return {
    health: isClosed ? onlyCooldown(cooled) : cooled,
    ...(isCool && { cooldown: null }),
    ...(isClosed && { circuit: null }),
  };
}

function cooledDown(health: ModelHealth, outcome: ProviderOutcome, rules: ProviderRules, now: number): HealthChange {
  const { decidedAt, jitter, result, retryAfterMs: told } = outcome;
  const { limited = 0, limited_at = -1, limited_until = 0 } = health;
  // It was on its way when the cooldown began: no other refusal, but what the provider says of it may be longer.
  const waited = decidedAt <= limited_at;
  if (waited && told === undefined) return { health };
  const nth = waited ? limited : limited + 1;
  const until = now + (told ?? backOff(nth, rules, jitter));
  if (waited && until <= limited_until) return { health };
  const by = result === 'quota' ? 'quota' : told === undefined ? 'backoff' : 'retry_after';
  return {
    health: {
      ...health,
      limited: nth,
      limited_at: waited ? limited_at : now,
      limited_until: until,
      limited_by: by,
    },
    cooldown: until,
  };
}

function backOff(nth: number, { jitter_percent, steps }: ProviderRules, place: number): number {
  const step = steps[Math.min(nth, steps.length) - 1] ?? 0;
  return Math.floor(step + (((step * jitter_percent) / 100) * (place - 500)) / 500);
}

function afterFailure(health: ModelHealth, decidedAt: number, rules: ProviderRules, now: number): HealthChange {
  if (health.opened_at !== undefined) return decidedAt > health.opened_at ? opened(health, rules, now) : { health };
  const { failed_at } = health;
  const inARow = failed_at !== undefined && now - failed_at <= rules.within ? (health.failures ?? 0) : 0;
  const failed: ModelHealth = { ...health, failures: inARow + 1, failed_at: now };
  return inARow + 1 >= rules.failures ? opened(failed, rules, now) : { health: failed };
}

function opened(health: ModelHealth, { most_open, open, probe }: ProviderRules, now: number): HealthChange {
  const { failed_at: _, failures: __, ...rest } = health;
  const opens = (health.opens ?? 0) + 1;
  const until = now + Math.min(most_open, open * 2 ** (opens - 1));
  return { health: { ...rest, opens, opened_at: now, open_until: until }, circuit: [until, probe] };
}

export const isHealthy = ({ failures, limited, opens }: ModelHealth): boolean =>
  limited === undefined && failures === undefined && opens === undefined;
