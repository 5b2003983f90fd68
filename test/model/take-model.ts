import type { Candidate, ClosedGate, Limit, Plan } from '../../schemas/policy-io.ts';
import type { Denial, TakeRequest } from '../../sidecar/counters/contract.ts';
import { forgettableFrom } from './counter-model.ts';
import { aboutOf, eventLimit, GRANTED, modelEvent } from './event-model.ts';
import { type Grant, replay, type Step, type TakeAnswer } from './grant-model.ts';
import { counterKey, type MemoryModel, requestKey } from './memory-model.ts';
import { choice, type ModelChoice, outcomeOf } from './outcome-model.ts';

export const DAY_MS = 86_400_000;

/** What a take must answer, and what it leaves behind. */
export function decideTake(memory: MemoryModel, request: TakeRequest, ttlMs: number, now: number): Step<TakeAnswer> {
  const { decisionId, event, fingerprint, keyGate, plan, quiet, requestId } = request;
  const tenantId = event.tenant_id;
  const denied = (reason: string) => (quiet ? {} : decideDenial({ decisionId, event, reason }, now));
  if (keyGate !== undefined && memory.closedUntil({ tenantId, scope: 'tenant', name: keyGate }, now)) {
    return { ...denied('revoked_key'), answer: { kind: 'closed', at: now } };
  }
  const key = requestId === undefined ? undefined : requestKey(tenantId, requestId);
  const known = memory.record(memory.grantedFor(key), now);
  if (known) return { answer: replay(known, fingerprint) };
  const chosen = look(memory, plan, tenantId, now);
  if (!chosen.granted) {
    return { ...denied('rate_limited'), answer: { kind: 'refused', outcome: outcomeOf(chosen, now), at: now } };
  }
  return granted(newGrant(request, key, chosen, ttlMs, now), chosen, now);
}

/** What a plan comes to. */
export function look(memory: MemoryModel, plan: Plan, tenantId: string, now: number): ModelChoice {
  const recall = (limit: Limit) => memory.counter(counterKey(tenantId, limit));
  const closed = ({ gates, model, scope = 'tenant' }: Candidate): ClosedGate[] =>
    gates.flatMap((name) => {
      const until = memory.closedUntil({ tenantId, scope, name }, now);
      return until === undefined ? [] : [{ gate: name, candidate: model, until }];
    });
  return choice(plan, recall, closed, now);
}

export function decideDenial({ count, decisionId, event, reason }: Denial, now: number): Step<undefined> {
  const rest = {
    limits: [],
    outcome: { granted: false, reason },
    decided_at: now,
    at: now,
    ...(count !== undefined && { count }),
  };
  return { answer: undefined, event: modelEvent('denied', { ...event, decision_id: decisionId }, rest) };
}

/** Reserved: something is still to come, the real usage or the end of the call. */
function newGrant(
  { decisionId, event, fingerprint }: TakeRequest,
  key: string | undefined,
  chosen: ModelChoice,
  ttlMs: number,
  now: number,
): Grant {
  const isOpen = chosen.views.some(({ limit }) => limit.settles || limit.kind === 'concurrency');
  return {
    id: decisionId,
    event,
    state: isOpen ? 'reserved' : 'consumed',
    outcome: outcomeOf(chosen, now),
    given: chosen.views.map(({ given }) => given),
    fingerprint,
    requestKey: key,
    at: now,
    openUntil: isOpen ? now + ttlMs : undefined,
    keptUntil: isOpen || key !== undefined || chosen.candidate?.gates.length ? now + DAY_MS : undefined,
    over: false,
    passed: false,
  };
}

function granted(grant: Grant, { views }: ModelChoice, now: number): Step<TakeAnswer> {
  const { event, id, outcome, requestKey: key, state } = grant;
  const limits = views.map((view) => eventLimit(view, view.given.amount, view, now));
  const rest = { limits, outcome: GRANTED, decided_at: now, at: now };
  return {
    answer: { kind: 'taken', outcome, at: now },
    // A window whose estimate of nothing is corrected later is in its period from now on.
    counters: views
      .filter(({ limit }) => limit.cost > 0 || (limit.kind === 'window' && limit.settles))
      .map(({ after, limit }) => [counterKey(event.tenant_id, limit), after, forgettableFrom(after, limit, now)]),
    grant,
    ...(key !== undefined && { request: [key, id] }),
    event: modelEvent(state === 'reserved' ? 'reserved' : 'consumed', aboutOf(grant), rest),
  };
}
