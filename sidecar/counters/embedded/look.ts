import { MAX_AMOUNT } from '../../../schemas/amounts.ts';
import type { Candidate, ClosedGate, Limit, LimitOutcome, Outcome, Plan } from '../../../schemas/policy-io.ts';
import { type Choice, choose } from '../choose.ts';
import { CountersUnavailable } from '../contract.ts';
import { type Announced, type CounterState, capacityOf, charged, resetAt, retryAfter, standing } from '../counter.ts';
import { gatesOf } from '../gates.ts';
import { counterField, partitionKeys } from '../keys.ts';
import { limitOutcome } from '../outcome.ts';
import type { GateState } from '../provider-health.ts';
import type { KeptRun, State } from './state.ts';

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

export function look(state: State, plan: Plan, tenantId: string, now: number, run?: KeptRun): Looked {
  if (plan.candidates.length === 0) return lookAtAll(state, plan, tenantId, now);
  const views = new Map<Limit, View>();
  const view = (limit: Limit) => {
    const seen = views.get(limit) ?? viewOf(state, limit, tenantId, now);
    views.set(limit, seen);
    return seen;
  };
  const failed = new Map(run?.failed);
  const choice = choose(plan, {
    grants: (limit) => view(limit).granted,
    backAt: (limit) => backAt(view(limit), now),
    closedGates: closedGates(state, plan, tenantId, now),
    failed: (model) => failed.get(model),
  });
  return { ...choice, views: choice.limits.map(view) };
}

/** There is nothing to choose. */
function lookAtAll(state: State, { limits }: Plan, tenantId: string, now: number): Looked {
  const views = limits.map((limit) => viewOf(state, limit, tenantId, now));
  return { granted: views.every(({ granted }) => granted), candidate: undefined, limits, closed: [], views };
}

/** A run that has made as many takes as it may: how its first candidate stands. */
export function exhausted(state: State, plan: Plan, tenantId: string, now: number): Looked {
  const [first] = plan.candidates;
  const limits = [...plan.limits, ...(first?.limits ?? [])];
  const closed = [{ gate: 'attempts', candidate: first?.model ?? '', until: MAX_AMOUNT }];
  const views = limits.map((limit) => viewOf(state, limit, tenantId, now));
  return { granted: false, candidate: undefined, limits, closed, views };
}

function backAt({ counter, limit }: View, now: number): number {
  const wait = retryAfter(counter, limit, now);
  return wait === null ? MAX_AMOUNT : now + wait;
}

export function viewOf(state: State, limit: Limit, tenantId: string, now: number): View {
  if (!checked.has(limit)) checkAmounts(limit);
  const key = counterKey(tenantId, limit);
  const counter = standing(state.counters.get(key)?.state, limit, now);
  const room = limit.cost <= capacityOf(counter, limit) - counter.used;
  return { limit, key, counter, granted: room || limit.on_exceed === 'flag', charged: charged(counter, limit) };
}

/** A plan is remembered, so the same limits come again and again, and their names need not be encoded each time. */
const known = new WeakMap<Limit, { tenantId: string; key: string }>();

export function counterKey(tenantId: string, limit: Limit): string {
  const before = known.get(limit);
  if (before?.tenantId === tenantId) return before.key;
  const key = `${KEYS.subject(tenantId, limit)}:${counterField(limit)}`;
  known.set(limit, { tenantId, key });
  return key;
}

const checked = new WeakSet<Limit>();

/** The schema has checked them before; a plan that did not come through it must not leave half a token in a bucket. */
function checkAmounts(limit: Limit): void {
  const whole = (amount: number, least: number) => Number.isSafeInteger(amount) && amount >= least;
  const rates = limit.kind === 'token_bucket' ? [limit.refill.amount, limit.refill.per_seconds] : [];
  if (!whole(limit.capacity, 0) || !whole(limit.cost, 0) || !rates.every((rate) => whole(rate, 1))) {
    throw new CountersUnavailable(`limit ${limit.id}: an amount is not a whole number from 0 to ${MAX_AMOUNT}`);
  }
  checked.add(limit);
}

/** Until when a gate is closed; undefined if it is open. */
export function closedUntil(state: State, key: string, now: number): number | undefined {
  const gate = state.gates.get(key);
  const until = typeof gate === 'object' ? gate[0] : gate;
  return until !== undefined && now < until ? until : undefined;
}

/** The chosen candidate's gates that are open for one at a time: closed behind this one. */
export function probed(state: State, { candidate }: Looked, plan: Plan, tenantId: string, now: number) {
  if (!candidate) return [];
  return gatesOf(candidate, plan, tenantId).flatMap((gate): [key: string, closed: GateState][] => {
    const key = KEYS.gate(gate);
    const known = state.gates.get(key);
    return typeof known === 'object' ? [[key, [now + known[1], known[1]]]] : [];
  });
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
    { id: limit.id, on_exceed: limit.on_exceed, capacity },
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
