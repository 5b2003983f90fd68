import { MAX_AMOUNT } from '../../schemas/amounts.ts';
import type { Candidate, ClosedGate, Limit, LimitOutcome, Plan } from '../../schemas/policy-io.ts';
import {
  announced,
  type CounterModel,
  charged,
  counterAt,
  type ModelGiven,
  resetAt,
  retryAfter,
  usedOf,
} from './counter-model.ts';

/** One limit as a take finds it, and as it would leave it. */
interface ModelView {
  limit: Limit;
  before: CounterModel;
  after: CounterModel;
  given: ModelGiven;
  crossed: number[];
  retry: number | null;
}

export type Recall = (limit: Limit) => CounterModel | undefined;

export interface ModelChoice {
  granted: boolean;
  candidate: Candidate | undefined;
  views: ModelView[];
  closed: ClosedGate[];
}

/** What a plan comes to: the first candidate whose gates are open and whose `deny` limits all have room, with the common ones. */
export function choice(
  plan: Plan,
  recall: Recall,
  gates: (candidate: Candidate) => ClosedGate[],
  now: number,
): ModelChoice {
  const look = (limits: Limit[]) => limits.map((limit) => viewOf(limit, recall(limit), now));
  const common = look(plan.limits);
  const closed: ClosedGate[] = [];
  const roomy = common.every(hasRoom);
  if (plan.candidates.length === 0) return { granted: roomy, candidate: undefined, views: common, closed };
  for (const candidate of plan.candidates) {
    const own = look(candidate.limits);
    const shut = [...barred(candidate, closed), ...gates(candidate)];
    if (roomy) shut.push(...tooLittle(candidate, own, shut.length > 0, now));
    closed.push(...shut);
    if (roomy && shut.length === 0) return { granted: true, candidate, views: [...common, ...own], closed };
  }
  return {
    granted: false,
    candidate: undefined,
    views: [...common, ...look(plan.candidates[0]?.limits ?? [])],
    closed,
  };
}

/** It may not stand in for one that was passed over for something else. */
function barred({ model, on }: Candidate, closed: ClosedGate[]): ClosedGate[] {
  if (!on) return [];
  const allowed = new Set<string>(on);
  if (allowed.has('timeout') || allowed.has('unavailable')) allowed.add('circuit');
  const why = closed.map(({ gate }) => whyOf(gate)).find((one) => !allowed.has(one));
  return why === undefined ? [] : [{ gate: `on:${why}`, candidate: model, until: MAX_AMOUNT }];
}

function whyOf(gate: string): string {
  if (/^(cooldown|limit):/.test(gate)) return 'rate_limit';
  if (gate.startsWith('budget:')) return 'budget';
  if (gate.startsWith('circuit:')) return 'circuit';
  return /^(on|failed):(.*)$/.exec(gate)?.[2] ?? 'other';
}

/** Which of its own limits are short: the shared ones; those of the tenant where nothing else is in the way. */
function tooLittle({ model }: Candidate, views: ModelView[], isOut: boolean, now: number): ClosedGate[] {
  const short = views.filter((view) => !hasRoom(view));
  const entry = (kind: string) => (view: ModelView) => ({
    gate: `${kind}:${view.limit.id}`,
    candidate: model,
    until: view.retry === null ? MAX_AMOUNT : now + view.retry,
  });
  const shared = short.filter(({ limit }) => limit.scope !== 'tenant');
  if (shared.length) return shared.map(entry('limit'));
  return isOut ? [] : short.map(entry('budget'));
}

const hasRoom = ({ limit, retry }: ModelView) => limit.on_exceed === 'flag' || retry === 0;

function viewOf(limit: Limit, stored: CounterModel | undefined, now: number): ModelView {
  const before = counterAt(stored, limit, now);
  const { after, given } = charged(before, limit, limit.cost, now);
  const told = announced(after, limit.thresholds, given.capacity);
  return { limit, before, given, ...told, retry: retryAfter(before, limit, now) };
}

export const outcomeOf = ({ candidate, closed, granted, views }: ModelChoice, now: number) => ({
  granted,
  candidate: candidate?.model ?? null,
  closed,
  limits: views.map((view) => limitOutcome(view, granted, now)),
});

export type ModelOutcome = ReturnType<typeof outcomeOf>;

function limitOutcome(view: ModelView, taken: boolean, now: number): LimitOutcome {
  const { before, given, limit } = view;
  const after = taken ? view.after : before;
  const [capacity, used] = [given.capacity, usedOf(after)];
  return {
    id: limit.id,
    granted: hasRoom(view),
    over: !hasRoom(view) || used > capacity,
    crossed: taken ? view.crossed : [],
    on_exceed: limit.on_exceed,
    capacity: Number(capacity),
    before: Number(usedOf(before)),
    used: Number(used),
    remaining: Number(used < capacity ? capacity - used : 0n),
    used_percent: capacity === 0n ? 100 : Number((100n * used) / capacity),
    reset_at: resetAt(after, limit, now),
    retry_after_ms: view.retry,
  };
}
