import type { Outcome, Plan } from '../../../schemas/policy-io.ts';
import { type CounterSettings, RecordsFull, type TakeRequest, type TakeResult } from '../contract.ts';
import type { Decided } from './effect.ts';
import { grant, newRecord } from './grant.ts';
import { closedUntil, KEYS, look, outcomeOf } from './look.ts';
import type { KeptRecord, State } from './state.ts';
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
  const looked = look(state, plan, tenantId, now);
  if (!looked.granted) {
    return denied(state, request, 'rate_limited', { kind: 'refused', outcome: outcomeOf(looked, now), at: now });
  }
  const record = newRecord({ request, requestKey, looked, settings, now });
  const kept = requestKey !== null || record.state === 'reserved';
  if (kept && state.records.size >= settings.maxRecords) throw new RecordsFull(settings.maxRecords);
  return grant(state, record, { views: looked.views, kept, now });
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
