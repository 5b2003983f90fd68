import type { Limit, Scope } from '../../../schemas/policy-io.ts';
import { forgottenAt, raised } from '../counter.ts';
import {
  afterOutcome,
  circuitGate,
  cooldownGate,
  type GateState,
  HEALTH_TTL_MS,
  isHealthy,
  type ModelHealth,
  type ProviderHealth,
  type ProviderOutcome,
  type ProviderRules,
} from '../provider-health.ts';
import type { Decided, Effect } from './effect.ts';
import { KEYS, viewOf } from './look.ts';
import type { State } from './state.ts';

/** A success or a rate limit or a failure, counted once. */
export function decideProviderOutcome(
  state: State,
  outcome: ProviderOutcome,
  rules: ProviderRules,
  now: number,
): Decided<ModelHealth> {
  const { account, model } = outcome;
  const key = healthKey(account, model);
  const known = state.health.get(key)?.health ?? { v: 1 };
  const { circuit, cooldown, health } = afterOutcome(known, outcome, rules, now);
  const scope: Scope = `shared:${account}`;
  const gates: NonNullable<Effect['gates']> = [
    ...gateOf({ name: cooldownGate(model), scope }, cooldown),
    ...gateOf({ name: circuitGate(model), scope }, circuit),
  ];
  const kept = isHealthy(health) ? null : { account, model, health, expiresAt: now + HEALTH_TTL_MS };
  return { answer: health, effect: { health: [key, kept], ...(gates.length && { gates }) } };
}

const healthKey = (account: string, model: string) => `${KEYS.health(account)}:${model}`;

const gateOf = ({ name, scope }: { name: string; scope: Scope }, closed: GateState | null | undefined) =>
  closed === undefined ? [] : [[KEYS.gate({ tenantId: '', scope, name }), closed] as [string, GateState | null]];

export function knownHealth(state: State, account: string, now: number): ProviderHealth {
  const known = [...state.health.values()].filter((one) => one.account === account && now < one.expiresAt);
  return { at: now, models: new Map(known.map(({ health, model }) => [model, health])) };
}

/** Never lowers it: the provider does not know yet of what is under way. */
export function decideRaise(state: State, limit: Limit, remaining: number, now: number): Decided<number> {
  const { counter, key } = viewOf(state, limit, '', now);
  const after = raised(counter, limit, remaining);
  if (after === counter) return { answer: counter.used };
  const emptyAt = forgottenAt(after, limit, now);
  return { answer: after.used, effect: { counters: [[key, { state: after, emptyAt }]] } };
}
