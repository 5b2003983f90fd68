import { MAX_AMOUNT } from '../../../schemas/amounts.ts';
import type { Candidate, ClosedGate, Limit, LimitOutcome, Outcome, Plan } from '../../../schemas/policy-io.ts';
import { type Choice, choose } from '../choose.ts';
import { CountersUnavailable } from '../contract.ts';
import { type Announced, type CounterState, capacityOf, charged, resetAt, retryAfter, standing } from '../counter.ts';
import { gatesOf } from '../gates.ts';
import { counterField, partitionKeys } from '../keys.ts';
import { limitOutcome } from '../outcome.ts';
import type { State } from './state.ts';

export const KEYS = partitionKeys(0);

/** One limit as it stands before the take. */
export interface View {
  limit: Limit;
  key: string;
  counter: CounterState;
  granted: boolean;
  /** As it is after the take, if it is granted. */
  charged: Announced;
}

/** What a plan comes to. */
export interface Looked extends Choice {
  views: View[];
}

export function look(state: State, plan: Plan, tenantId: string, now: number): Looked {
  const views = new Map<Limit, View>();
  const view = (limit: Limit) => {
    const seen = views.get(limit) ?? viewOf(state, limit, tenantId, now);
    views.set(limit, seen);
    return seen;
  };
  const choice = choose(plan, (limit) => view(limit).granted, closedGates(state, plan, tenantId, now));
  return { ...choice, views: choice.limits.map(view) };
}

export function viewOf(state: State, limit: Limit, tenantId: string, now: number): View {
  checkAmounts(limit);
  const key = counterKey(tenantId, limit);
  const counter = standing(state.counters.get(key)?.state, limit, now);
  const room = limit.cost <= capacityOf(counter, limit) - counter.used;
  return { limit, key, counter, granted: room || limit.on_exceed === 'flag', charged: charged(counter, limit) };
}

export const counterKey = (tenantId: string, limit: Limit): string =>
  `${KEYS.subject(tenantId, limit)}:${counterField(limit)}`;

/** The schema has checked them before; a plan that did not come through it must not leave half a token in a bucket. */
function checkAmounts(limit: Limit): void {
  const whole = (amount: number, least: number) => Number.isSafeInteger(amount) && amount >= least;
  const rates = limit.kind === 'token_bucket' ? [limit.refill.amount, limit.refill.per_seconds] : [];
  if (whole(limit.capacity, 0) && whole(limit.cost, 0) && rates.every((rate) => whole(rate, 1))) return;
  throw new CountersUnavailable(`limit ${limit.id}: an amount is not a whole number from 0 to ${MAX_AMOUNT}`);
}

/** Until when a gate is closed; undefined if it is open. */
export function closedUntil(state: State, key: string, now: number): number | undefined {
  const until = state.gates.get(key);
  return until !== undefined && now < until ? until : undefined;
}

function closedGates(state: State, plan: Plan, tenantId: string, now: number) {
  return (candidate: Candidate): ClosedGate[] =>
    gatesOf(candidate, plan, tenantId).flatMap((gate) => {
      const until = closedUntil(state, KEYS.gate(gate), now);
      return until === undefined ? [] : [{ gate: gate.name, candidate: candidate.model, until }];
    });
}

export function outcomeOf({ candidate, closed, granted, views }: Looked, now: number): Outcome {
  const limits = views.map((view) => viewOutcome(view, granted, now));
  return { granted, candidate: candidate?.model ?? null, closed, limits };
}

function viewOutcome({ charged, counter, granted, limit }: View, taken: boolean, now: number): LimitOutcome {
  const { after, crossed } = taken ? charged : { after: counter, crossed: [] };
  const capacity = capacityOf(counter, limit);
  return limitOutcome(
    { ...limit, capacity },
    {
      granted,
      before: counter.used,
      used: after.used,
      resetAt: resetAt(after, limit, now),
      retryAfterMs: retryAfter(counter, limit, now),
      crossed,
    },
  );
}
