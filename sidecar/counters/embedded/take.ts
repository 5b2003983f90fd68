import { MAX_AMOUNT } from '../../../schemas/amounts.ts';
import type { Limit, LimitOutcome, Outcome, Plan } from '../../../schemas/policy-io.ts';
import { type Choice, choose } from '../choose.ts';
import {
  type CounterSettings,
  CountersUnavailable,
  RECORD_TTL_MS,
  type TakeRequest,
  type TakeResult,
} from '../contract.ts';
import {
  type Announced,
  type CounterState,
  capacityOf,
  charged,
  chargeOn,
  forgottenAt,
  periodStart,
  resetAt,
  retryAfter,
  standing,
} from '../counter.ts';
import { counterField, partitionKeys } from '../keys.ts';
import { limitOutcome } from '../outcome.ts';
import type { Decided, Effect } from './effect.ts';
import type { KeptCharge, KeptRecord, State } from './state.ts';
import { deniedEvent, usageEvent } from './usage-event.ts';

const KEYS = partitionKeys(0);

/** One limit as it stands before the take. */
interface View {
  limit: Limit;
  key: string;
  counter: CounterState;
  granted: boolean;
  /** As it is after the take, if it is granted. */
  charged: Announced;
}

interface Looked extends Choice {
  views: View[];
}

/** Refill, check all, take all or nothing, append the usage event. */
export function decideTake(
  state: State,
  request: TakeRequest,
  settings: CounterSettings,
  now: number,
): Decided<TakeResult> {
  const { event, plan, requestId } = request;
  const requestKey = requestId === undefined ? null : KEYS.request(event.tenant_id, requestId);
  const known = requestKey === null ? undefined : liveRecord(state, state.requests.get(requestKey), now);
  if (known) return { answer: replay(known, request) };
  const looked = look(state, plan, event.tenant_id, now);
  return looked.granted
    ? grant(state, request, requestKey, { ...looked, openUntil: now + settings.reservationTtlMs }, now)
    : refuse(state, request, looked, now);
}

/** What a take would come to. */
export function decidePeek(state: State, plan: Plan, tenantId: string, now: number): Outcome {
  return outcomeOf(look(state, plan, tenantId, now), now);
}

export function liveRecord(state: State, decisionId: string | undefined, now: number): KeptRecord | undefined {
  const record = decisionId === undefined ? undefined : state.records.get(decisionId);
  return record && now < record.expiresAt ? record : undefined;
}

function replay(record: KeptRecord, { fingerprint }: TakeRequest): TakeResult {
  if (record.fingerprint !== fingerprint) return { kind: 'conflict' };
  const { decidedAt, decisionId, event, outcome } = record;
  return { kind: 'replayed', outcome, at: decidedAt, decisionId, policyRevision: event.policy_revision };
}

function look(state: State, plan: Plan, tenantId: string, now: number): Looked {
  const views = new Map<Limit, View>();
  const view = (limit: Limit) => {
    const seen = views.get(limit) ?? viewOf(state, limit, tenantId, now);
    views.set(limit, seen);
    return seen;
  };
  const choice = choose(plan, (limit) => view(limit).granted);
  return { ...choice, views: choice.limits.map(view) };
}

function viewOf(state: State, limit: Limit, tenantId: string, now: number): View {
  checkAmounts(limit);
  const key = `${KEYS.subject(tenantId, limit.subject)}:${counterField(limit)}`;
  const counter = standing(state.counters.get(key)?.state, limit, now);
  const room = limit.cost <= capacityOf(counter, limit) - counter.used;
  return { limit, key, counter, granted: room || limit.on_exceed === 'flag', charged: charged(counter, limit) };
}

/** The schema has checked them before; a plan that did not come through it must not leave half a token in a bucket. */
function checkAmounts(limit: Limit): void {
  const whole = (amount: number, least: number) => Number.isSafeInteger(amount) && amount >= least;
  const rates = limit.kind === 'token_bucket' ? [limit.refill.amount, limit.refill.per_seconds] : [];
  if (whole(limit.capacity, 0) && whole(limit.cost, 0) && rates.every((rate) => whole(rate, 1))) return;
  throw new CountersUnavailable(`limit ${limit.id}: an amount is not a whole number from 0 to ${MAX_AMOUNT}`);
}

function outcomeOf({ candidate, granted, views }: Looked, now: number): Outcome {
  const limits = views.map((view) => viewOutcome(view, granted, now));
  return { granted, candidate: candidate?.model ?? null, limits };
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

function refuse(state: State, request: TakeRequest, looked: Looked, now: number): Decided<TakeResult> {
  const { decisionId, event } = request;
  return {
    answer: { kind: 'refused', outcome: outcomeOf(looked, now), at: now },
    effect: { event: [state.lastEntry + 1, deniedEvent({ decisionId, event, reason: 'rate_limited' }, now)] },
  };
}

function grant(
  state: State,
  request: TakeRequest,
  requestKey: string | null,
  looked: Looked & { openUntil: number },
  now: number,
): Decided<TakeResult> {
  const record = newRecord(request, requestKey, looked, now);
  const effect: Effect = {
    counters: looked.views.filter(({ limit }) => limit.cost > 0).map((view) => chargedCounter(view, now)),
    event: [state.lastEntry + 1, takenEvent(record, looked.views)],
  };
  if (requestKey !== null || record.state === 'reserved') effect.record = record;
  if (requestKey !== null) effect.request = [requestKey, record.decisionId];
  return { answer: { kind: 'taken', outcome: record.outcome, at: now, receipt: JSON.stringify(record) }, effect };
}

function chargedCounter(view: View, now: number): NonNullable<Effect['counters']>[number] {
  const state = view.charged.after;
  return [view.key, { state, emptyAt: forgottenAt(state, view.limit, now) }];
}

/** Something is still to come: the real usage, or the end of the call. */
const isOpen = ({ kind, settles }: Limit) => settles || kind === 'concurrency';

function newRecord(
  request: TakeRequest,
  requestKey: string | null,
  looked: Looked & { openUntil: number },
  now: number,
): KeptRecord {
  const open = looked.limits.some(isOpen);
  return {
    decisionId: request.decisionId,
    state: open ? 'reserved' : 'consumed',
    ...(open && { openUntil: looked.openUntil }),
    event: request.event,
    outcome: outcomeOf(looked, now),
    charges: looked.views.map(keptCharge),
    requestKey,
    fingerprint: request.fingerprint,
    decidedAt: now,
    expiresAt: now + RECORD_TTL_MS,
  };
}

const keptCharge = ({ counter, key, limit }: View): KeptCharge => ({
  ...chargeOn(counter, limit),
  key,
  id: limit.id,
  unit: limit.unit,
  billed: limit.billed,
  settles: limit.settles,
});

function takenEvent(record: KeptRecord, views: View[]) {
  const { candidate } = record.outcome;
  return usageEvent(record.state, {
    ...record.event,
    ...(candidate !== null && { candidate }),
    decision_id: record.decisionId,
    limits: views.map((view) => {
      const { id, kind, unit, billed, cost } = view.limit;
      const { after } = view.charged;
      return {
        id,
        kind,
        unit,
        ...(billed && { billed }),
        amount: cost,
        before: view.counter.used,
        after: after.used,
        period_start: periodStart(after),
      };
    }),
    outcome: { granted: true, reason: 'ok' },
    decided_at: record.decidedAt,
    at: record.decidedAt,
  });
}
