import type { UsageEvent, UsageEventType } from '../../schemas/usage-event.ts';

/** What the events are made of. */
export interface Cast {
  tenants: string[];
  /** Models and their aliases, and the bucket tokens that a request to each takes. */
  models: { name: string; weight: number }[];
  /** Epoch milliseconds, half-open. */
  from: number;
  to: number;
}

/** Numbers from 0 to 1, one after the other. */
export type Random = () => number;

/** The same numbers for the same seeds (mulberry32 over a mix of the two). */
export function randomOf(seed: number, index: number): Random {
  let state = (Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(index + 1, 0xc2b2ae35)) >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const pick = <Item>(items: readonly Item[], at: number): Item => items[Math.floor(at * items.length)] as Item;
const hex = (value: number, digits: number) => Math.floor(value).toString(16).padStart(digits, '0').slice(-digits);

/**
 * Two events: a reservation and what became of it, or two that stand alone. Few tenants and users make most of them, a user
 * has one team and mostly one model, and a quarter comes from no named user.
 */
export function generatedPair(index: number, progress: number, random: Random, cast: Cast): [UsageEvent, UsageEvent] {
  const first = request(index * 2, progress, random, cast);
  if (random() < 0.55) return reservation(first, random);
  return [alone(first, random), alone(request(index * 2 + 1, progress, random, cast), random)];
}

interface Request {
  weight: number;
  event: Omit<UsageEvent, 'id' | 'type' | 'limits' | 'outcome' | 'at'>;
}

function request(index: number, progress: number, random: Random, { from, models, tenants, to }: Cast): Request {
  const decided_at = from + Math.floor((progress + random() * 1e-6) * (to - from - 1_000));
  const tenant_id = pick(tenants, random() ** 2);
  const user = Math.floor(6 * random() ** 2);
  const model = pick(models, random() < 0.8 ? (user % models.length) / models.length : random());
  const decision_id = `${hex(decided_at, 12).replace(/^(.{8})/, '$1-')}-7${hex(random() * 4096, 3)}-8${hex(random() * 4096, 3)}-${hex(index, 12)}.0`;
  return {
    weight: model.weight,
    event: {
      v: 1,
      decision_id,
      tenant_id,
      ...(random() < 0.75 && {
        user_id: `user-${user}`,
        team_id: `team-${user % 5}`,
        project_id: `project-${user % 3}`,
      }),
      ...(random() < 0.3 && { run_id: `run-${index % 1_000}`, agent_id: `agent-${user % 4}`, channel: 'slack' }),
      credential_id: `key:k0_${hex(user, 12)}`,
      source_ip: `192.0.2.${user}`,
      provider: model.name.split('/')[0] as string,
      model: model.name,
      candidate: random() < 0.1 ? pick(models, random()).name : model.name,
      policy_revision: 'r1',
      count: 1,
      decided_at,
    },
  };
}

function reservation(request: Request, random: Random): [UsageEvent, UsageEvent] {
  const estimate = request.weight * (1 + Math.floor(random() * 20));
  const later = 1_000 + Math.floor(random() * 60_000);
  const fate = random();
  const end = (type: UsageEventType, amount: number, rest: Partial<UsageEvent> = {}) =>
    event(request, type, { limits: limitsOf(amount), at: request.event.decided_at + later, ...rest });
  const reserved = event(request, 'reserved', { limits: limitsOf(estimate) });
  if (fate < 0.08) return [reserved, end('voided', -estimate)];
  if (fate < 0.12) return [reserved, end('expired', 0)];
  const real = Math.max(1, Math.floor(estimate * (0.3 + random())));
  return [reserved, end('settled', real - estimate, { usage: usageOf(random) })];
}

function usageOf(random: Random): NonNullable<UsageEvent['usage']> {
  const upTo = (most: number) => Math.floor(random() ** 2 * most);
  return {
    input: 1 + upTo(20_000),
    output: 1 + upTo(4_000),
    ...(random() < 0.3 && { cache_read: upTo(100_000), cache_write: upTo(10_000) }),
    ...(random() < 0.2 && { reasoning: upTo(2_000) }),
  };
}

function alone(request: Request, random: Random): UsageEvent {
  const kind = random();
  if (kind < 0.2) {
    const count = kind < 0.01 ? 11 + Math.floor(random() * 250) : 1;
    return event(request, 'denied', { limits: [], count, outcome: { granted: false, reason: 'rate_limited' } });
  }
  if (kind < 0.21) {
    const grant = { tokens: 500, expires_at: request.event.decided_at + 86_400_000, reason: 'a release', by: 'admin' };
    return event(request, 'adjusted', { limits: [], grant });
  }
  return event(request, 'consumed', { limits: limitsOf(request.weight) });
}

/** The tenant's bucket, which is billed, and the user's budget, which is not. */
const limitsOf = (amount: number): UsageEvent['limits'] => [
  {
    id: 'tenant',
    kind: 'token_bucket',
    unit: 'tokens',
    billed: true,
    amount,
    before: 0,
    after: amount,
    period_start: 0,
  },
  { id: 'user:day', kind: 'window', unit: 'tokens', amount, before: 0, after: amount, period_start: 0 },
];

const event = (
  { event: same }: Request,
  type: UsageEventType,
  own: Pick<UsageEvent, 'limits'> & Partial<UsageEvent>,
): UsageEvent => ({
  ...same,
  id: `${same.decision_id}:${type}`,
  type,
  outcome: { granted: true, reason: 'ok' },
  at: same.decided_at,
  ...own,
});
