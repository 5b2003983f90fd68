import type { Limit } from '../../../schemas/policy-io.ts';
import { type CounterSettings, RECORD_TTL_MS, type TakeRequest, type TakeResult } from '../contract.ts';
import { chargeOn, forgottenAt } from '../counter.ts';
import type { Said } from '../event-text.ts';
import type { Decided, Effect } from './effect.ts';
import { type Looked, outcomeOf, type View } from './look.ts';
import type { KeptCharge, KeptRecord, State } from './state.ts';
import { takenEvent } from './taken-event.ts';

export interface Granted {
  request: Pick<TakeRequest, 'decisionId' | 'event' | 'fingerprint'>;
  requestKey: string | null;
  looked: Looked;
  settings: CounterSettings;
  now: number;
  runKey?: string;
  /** Of what was allowed while the store was away. */
  decidedAt?: number;
}

/** A record without what its limits were charged: that is put together where it is kept, or given back. */
export type NewRecord = Omit<KeptRecord, 'charges'>;

export function newRecord({ decidedAt, looked, now, request, requestKey, runKey, settings }: Granted): NewRecord {
  const open = looked.limits.some(isOpen);
  return {
    decisionId: request.decisionId,
    state: open ? 'reserved' : 'consumed',
    ...(open && { openUntil: now + settings.reservationTtlMs }),
    event: request.event,
    outcome: outcomeOf(looked, now),
    requestKey,
    ...(runKey !== undefined && { runKey }),
    fingerprint: request.fingerprint,
    decidedAt: decidedAt ?? now,
    expiresAt: now + RECORD_TTL_MS,
  };
}

/** Something is still to come: the real usage, or the end of the call. */
const isOpen = ({ kind, settles }: Limit) => settles || kind === 'concurrency';

export const chargesOf = (views: View[]): KeptCharge[] => views.map(keptCharge);

const keptCharge = ({ counter, key, limit }: View): KeptCharge => ({
  ...chargeOn(counter, limit),
  key,
  id: limit.id,
  unit: limit.unit,
  billed: limit.billed,
  settles: limit.settles,
  ...(limit.counts && { counts: limit.counts }),
});

interface HowGranted {
  views: View[];
  kept: boolean;
  now: number;
  degraded?: boolean;
  /** Of the last event of the same plan. */
  said?: Said;
  /** In place of what the views say. */
  charges?: KeptCharge[];
}

/** Charges what was looked at; `kept`: its record stays for 24 hours. */
export function grant(
  state: State,
  record: NewRecord,
  { charges, degraded, kept, now, said, views }: HowGranted,
): Decided<Extract<TakeResult, { kind: 'taken' }>> {
  const { decisionId, requestKey } = record;
  const effect: Effect = {
    counters: views.filter(moves).map((view) => chargedCounter(view, now)),
    event: [state.lastEntry + 1, takenEvent(record, { degraded, now, said, views })],
  };
  const whole = (): KeptRecord => ({ ...record, charges: charges ?? chargesOf(views) });
  if (kept) effect.record = whole();
  if (requestKey !== null) effect.request = [requestKey, decisionId];
  return {
    answer: { kind: 'taken', outcome: record.outcome, at: now, receipt: () => JSON.stringify(whole()) },
    effect,
  };
}

/** A window that an estimate of nothing is corrected in must be in the period that it was made in. */
const moves = ({ charged, counter, limit }: View) =>
  (limit.cost > 0 || (limit.kind === 'window' && limit.settles)) && charged.after !== counter;

function chargedCounter(view: View, now: number): NonNullable<Effect['counters']>[number] {
  const state = view.charged.after;
  return [view.key, { state, emptyAt: forgottenAt(state, view.limit, now) }];
}
