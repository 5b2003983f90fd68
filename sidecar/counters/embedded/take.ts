import type { Outcome, Plan } from '../../../schemas/policy-io.ts';
import { type CounterSettings, RecordsFull, RUN_TTL_MS, type TakeRequest, type TakeResult } from '../contract.ts';
import { nothingSaid, type Said } from '../event-text.ts';
import type { Decided } from './effect.ts';
import { grant, newRecord } from './grant.ts';
import { closedUntil, exhausted, KEYS, look, outcomeOf, probed } from './look.ts';
import type { KeptRecord, KeptRun, State } from './state.ts';
import { deniedEvent } from './usage-event.ts';

/** Refill, check all, take all or nothing, append the usage event. */
export function decideTake(
  state: State,
  request: TakeRequest,
  settings: CounterSettings,
  now: number,
): Decided<TakeResult> {
  const { event, keyGate, plan } = request;
  const tenantId = event.tenant_id;
  if (keyGate !== undefined && closedUntil(state, KEYS.gate({ tenantId, scope: 'tenant', name: keyGate }), now)) {
    return denied(state, request, 'revoked_key', { kind: 'closed', at: now });
  }
  const requestKey = requestKeyOf(request);
  const known = grantedBefore(state, requestKey, now);
  if (known) return { answer: replay(known, request) };
  const runKey = runKeyOf(request);
  const run = runKey === undefined ? undefined : runOf(state, runKey, now);
  const isSpent = run && run.attempts >= (plan.max_attempts ?? Number.POSITIVE_INFINITY);
  const looked = isSpent ? exhausted(state, plan, tenantId, now) : look(state, plan, tenantId, now, run);
  if (!looked.granted) {
    return denied(state, request, 'rate_limited', { kind: 'refused', outcome: outcomeOf(looked, now), at: now });
  }
  const record = newRecord({ request, requestKey, looked, settings, now, ...(runKey !== undefined && { runKey }) });
  // Of a call to a provider its caller will say how it went.
  const isTold = runKey !== undefined || (looked.candidate?.gates.length ?? 0) > 0;
  const kept = requestKey !== null || record.state === 'reserved' || isTold;
  if (kept && state.records.size >= settings.maxRecords) throw new RecordsFull(settings.maxRecords);
  const { answer, effect } = grant(state, record, { views: looked.views, kept, now, said: saidOf(plan) });
  const gates = probed(state, looked, plan, tenantId, now);
  return {
    answer,
    effect: {
      ...effect,
      ...(gates.length && { gates }),
      ...(runKey !== undefined &&
        run && { run: [runKey, { ...run, attempts: run.attempts + 1, expiresAt: now + RUN_TTL_MS }] }),
    },
  };
}

/** A plan is remembered, so the same one comes again and again, nearly always with the same names. */
const said = new WeakMap<Plan, Said>();

function saidOf(plan: Plan): Said {
  const before = said.get(plan) ?? nothingSaid();
  said.set(plan, before);
  return before;
}

/** Where the attempts of the request's run are counted, if its plan bounds them. */
const runKeyOf = ({ event, plan }: TakeRequest): string | undefined =>
  plan.max_attempts === undefined || event.run_id === undefined ? undefined : KEYS.run(event.tenant_id, event.run_id);

export function runOf(state: State, runKey: string, now: number): KeptRun {
  const run = state.runs.get(runKey);
  return run && now < run.expiresAt ? run : { attempts: 0, failed: [], expiresAt: now };
}

/** What a take would come to. */
export function decidePeek(state: State, plan: Plan, tenantId: string, now: number): Outcome {
  return outcomeOf(look(state, plan, tenantId, now), now);
}

export const requestKeyOf = ({ event, requestId }: Pick<TakeRequest, 'event' | 'requestId'>): string | null =>
  requestId === undefined ? null : KEYS.request(event.tenant_id, requestId);

export const grantedBefore = (state: State, requestKey: string | null, now: number): KeptRecord | undefined =>
  requestKey === null ? undefined : liveRecord(state, state.requests.get(requestKey), now);

export function liveRecord(state: State, decisionId: string | undefined, now: number): KeptRecord | undefined {
  const record = decisionId === undefined ? undefined : state.records.get(decisionId);
  return record && now < record.expiresAt ? record : undefined;
}

export function replay(
  record: KeptRecord,
  { fingerprint }: Pick<TakeRequest, 'fingerprint'>,
): Extract<TakeResult, { kind: 'replayed' | 'conflict' }> {
  if (record.fingerprint !== fingerprint) return { kind: 'conflict' };
  const { decidedAt, decisionId, event, outcome } = record;
  return { kind: 'replayed', outcome, at: decidedAt, decisionId, policyRevision: event.policy_revision };
}

function denied(
  state: State,
  { decisionId, event, quiet }: TakeRequest,
  reason: string,
  answer: Extract<TakeResult, { kind: 'refused' | 'closed' }>,
): Decided<TakeResult> {
  if (quiet) return { answer };
  return { answer, effect: { event: [state.lastEntry + 1, deniedEvent({ decisionId, event, reason }, answer.at)] } };
}
