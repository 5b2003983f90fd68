import type { Limit, LimitOutcome, Outcome, Plan } from '../../schemas/policy-io.ts';
import { type CounterState, forgottenAt, standing } from '../counters/counter.ts';
import { counterKey, KEYS } from '../counters/embedded/look.ts';
import type { State } from '../counters/embedded/state.ts';
import { gatesOf } from '../counters/gates.ts';

/** What the policy in force saw when it decided. */
export interface Live {
  plan: Plan;
  outcome: Outcome;
  tenantId: string;
  /** The store's time. */
  at: number;
}

/**
 * Puts the scratch counters that `plan` draws on, and its gates, to where the live ones were before the live take. Counters that
 * only `plan` has stay as they are: nobody else keeps them.
 */
export function showLive(state: State, live: Live, plan: Plan): void {
  const seen = countersSeen(live);
  for (const limit of [...plan.limits, ...plan.candidates.flatMap(({ limits }) => limits)]) {
    const key = counterKey(live.tenantId, limit);
    const was = seen.get(key);
    if (!was) continue;
    const counter = asItWas(state.counters.get(key)?.state, limit, was, live.at);
    state.counters.set(key, { state: counter, emptyAt: forgottenAt(counter, limit, live.at) });
  }
  showGates(state, live);
}

interface Seen {
  rule: Limit;
  outcome: LimitOutcome;
}

function countersSeen({ outcome, plan, tenantId }: Live): Map<string, Seen> {
  const chosen = plan.candidates.find(({ model }) => model === outcome.candidate) ?? plan.candidates[0];
  const rules = new Map([...plan.limits, ...(chosen?.limits ?? [])].map((limit) => [limit.id, limit]));
  const seen = new Map<string, Seen>();
  for (const limit of outcome.limits) {
    const rule = rules.get(limit.id);
    if (rule) seen.set(counterKey(tenantId, rule), { rule, outcome: limit });
  }
  return seen;
}

/** A live window's capacity is its rule's and what was carried over. */
function asItWas(stored: CounterState | undefined, limit: Limit, { outcome, rule }: Seen, now: number): CounterState {
  const counter = { ...standing(stored, limit, now), used: outcome.before };
  if (limit.kind !== 'window') return counter;
  return { ...counter, carried: Math.max(0, outcome.capacity - rule.capacity) } as CounterState;
}

/** Those of a candidate are all open unless it is named as passed over. */
function showGates(state: State, { outcome, plan, tenantId }: Live): void {
  const closed = new Map(outcome.closed.map(({ candidate, gate, until }) => [`${candidate} ${gate}`, until]));
  for (const candidate of plan.candidates) {
    for (const gate of gatesOf(candidate, plan, tenantId)) {
      const until = closed.get(`${candidate.model} ${gate.name}`);
      if (until === undefined) state.gates.delete(KEYS.gate(gate));
      else state.gates.set(KEYS.gate(gate), until);
    }
    if (candidate.model === outcome.candidate) return;
  }
}
