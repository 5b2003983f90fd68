import type { UsageEvent, UsageEventType } from '../../schemas/usage-event.ts';
import type { EventSubject } from '../../sidecar/counters/contract.ts';

import { type CounterModel, type ModelGiven, periodStart, usedOf } from './counter-model.ts';
import type { Grant } from './grant-model.ts';

/** A usage event as it must be in the stream; the decision's members before it, the rest as given. */
export function modelEvent(
  type: UsageEventType,
  about: EventSubject & { decision_id: string; candidate?: string | null },
  rest: Pick<UsageEvent, 'limits' | 'outcome' | 'decided_at' | 'at'> & Partial<UsageEvent>,
): UsageEvent {
  const { candidate, ...subject } = about;
  return {
    v: 1,
    id: `${about.decision_id}:${type}`,
    type,
    ...subject,
    ...(candidate != null && { candidate }),
    count: 1,
    ...rest,
  };
}

export const GRANTED = { granted: true, reason: 'ok' };

/** What an event says of one limit. */
export function eventLimit(
  { limit: { billed, id, kind, unit } }: Pick<ModelGiven, 'limit'>,
  amount: bigint,
  { after, before }: { before: CounterModel | undefined; after: CounterModel | undefined },
  now: number,
): UsageEvent['limits'][number] {
  return {
    id,
    kind,
    unit,
    ...(billed && { billed }),
    amount: Number(amount),
    before: before ? Number(usedOf(before)) : 0,
    after: after ? Number(usedOf(after)) : 0,
    period_start: periodStart(after, now),
  };
}

export const aboutOf = ({ event, id, outcome }: Grant) => ({ ...event, decision_id: id, candidate: outcome.candidate });
