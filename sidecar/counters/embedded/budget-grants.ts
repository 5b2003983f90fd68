import { MAX_AMOUNT } from '../../../schemas/amounts.ts';
import {
  type BudgetGrant,
  BudgetGrantExpired,
  type BudgetGrants,
  BudgetGrantsFull,
  checkBudgetGrant,
  type LiveBudgetGrant,
  oldestFirst,
  REVOKED_TTL_MS,
} from '../budget-grant.ts';
import type { Decided } from './effect.ts';
import type { KeptBudgetGrant, State, StreamEvent } from './state.ts';
import { usageEvent } from './usage-event.ts';

export function decideBudgetGrant(
  state: State,
  grant: BudgetGrant,
  most: number,
  now: number,
): Decided<{ at: number; replayed: boolean }> {
  checkBudgetGrant(grant);
  const known = remembered(state, grant.id, now);
  if (known) return { answer: { at: known.at, replayed: true } };
  if (grant.expiresAt <= now) throw new BudgetGrantExpired(grant, now);
  if (isFull(state, most, now)) throw new BudgetGrantsFull(most);
  const kept = { until: grant.expiresAt, at: now, grant };
  const event = adjusted({ ...grant, at: now }, now);
  return { answer: { at: now, replayed: false }, effect: change(state, [grant.id, kept], event, now) };
}

export function decideRevocation(state: State, id: string, by: string, now: number): Decided<boolean> {
  const known = remembered(state, id, now);
  if (!known?.grant) return { answer: false };
  const { at, grant, until } = known;
  const event = adjusted({ ...grant, at, by, tokens: -grant.tokens }, now, `${id}:revoked:adjusted`);
  const kept = { until: Math.min(until, now + REVOKED_TTL_MS), at, grant: null };
  const effect = change(state, [id, kept], event, now);
  return { answer: true, effect };
}

/** The version says when the first of them expires, so that a reader learns of that too. */
export function liveBudgetGrants(state: State, version: string | undefined, now: number): BudgetGrants | undefined {
  const [, known, first] = /^(.*):(\d+)$/.exec(version ?? '') ?? [];
  if (known === state.budgetGrantsVersion && now < Number(first)) return undefined;
  const live: LiveBudgetGrant[] = [];
  let ends = MAX_AMOUNT;
  for (const { at, grant, until } of state.budgetGrants.values()) {
    if (!grant || until <= now) continue;
    live.push({ ...grant, at });
    ends = Math.min(ends, until);
  }
  return { version: `${state.budgetGrantsVersion}:${ends}`, grants: oldestFirst(live) };
}

function remembered(state: State, id: string, now: number): KeptBudgetGrant | undefined {
  const kept = state.budgetGrants.get(id);
  return kept && now < kept.until ? kept : undefined;
}

/** Some may be over that the sweep has not come to yet. */
function isFull({ budgetGrants }: State, most: number, now: number): boolean {
  if (budgetGrants.size < most) return false;
  let live = 0;
  for (const { until } of budgetGrants.values()) if (now < until) live += 1;
  return live >= most;
}

/** Another version after each change. */
function change(state: State, budgetGrant: [id: string, kept: KeptBudgetGrant], event: StreamEvent, now: number) {
  const changes = Number.parseInt(state.budgetGrantsVersion, 10) || 0;
  const budgetGrantsVersion = `${changes + 1}-${now}`;
  return { budgetGrant, budgetGrantsVersion, event: [state.lastEntry + 1, event] as [number, StreamEvent] };
}

const adjusted = (
  { at, by, expiresAt, id, reason, tenantId, tokens, userId }: LiveBudgetGrant,
  now: number,
  eventId = `${id}:adjusted`,
) =>
  usageEvent('adjusted', {
    id: eventId,
    decision_id: id,
    tenant_id: tenantId,
    user_id: userId,
    grant: { tokens, expires_at: expiresAt, reason, by },
    limits: [],
    outcome: { granted: true, reason: 'ok' },
    decided_at: at,
    at: now,
  });
