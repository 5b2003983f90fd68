import { USAGE_EVENT_VERSION, type UsageEvent, type UsageEventType } from '../../../schemas/usage-event.ts';
import type { Denial } from '../contract.ts';
import type { Decided } from './effect.ts';
import type { State, StreamEvent } from './state.ts';
import { streamEvent } from './stream-event.ts';

type Given = Pick<UsageEvent, 'decision_id' | 'limits' | 'outcome' | 'decided_at' | 'at' | 'tenant_id'> &
  Partial<UsageEvent>;

export const usageEvent = (type: UsageEventType, given: Given): StreamEvent =>
  streamEvent({
    v: USAGE_EVENT_VERSION,
    ...given,
    id: given.id ?? `${given.decision_id}:${type}`,
    type,
    count: given.count ?? 1,
  });

/** The event of a request that took nothing. */
export const deniedEvent = ({ count, decisionId, event, reason }: Denial, now: number): StreamEvent =>
  usageEvent('denied', {
    ...event,
    ...(count !== undefined && { count }),
    decision_id: decisionId,
    limits: [],
    outcome: { granted: false, reason },
    decided_at: now,
    at: now,
  });

/** A request that was refused before anything could be taken. */
export function decideDenial(state: State, denial: Denial, now: number): Decided<void> {
  return { answer: undefined, effect: { event: [state.lastEntry + 1, deniedEvent(denial, now)] } };
}
