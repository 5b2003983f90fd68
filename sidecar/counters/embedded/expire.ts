import { moved } from '../counter.ts';
import type { Decided } from './effect.ts';
import { type Move, movedCounter, movedLimit } from './settle.ts';
import type { KeptRecord, State } from './state.ts';
import { liveRecord } from './take.ts';
import { usageEvent } from './usage-event.ts';

/**
 * Marks the oldest reservation whose time is over as expired: the estimate stands, and what was in flight is no longer
 * counted. Answers whether there was one.
 */
export function decideExpiry(state: State, now: number): Decided<boolean> {
  const record = oldestDue(state, now);
  if (!record) return { answer: false };
  const moves = record.charges
    .filter(({ kind }) => kind === 'concurrency')
    .map((given): Move => {
      const stored = state.counters.get(given.key)?.state;
      return { charge: given, amount: -given.amount, ...moved(stored, given, -given.amount, now) };
    });
  return {
    answer: true,
    effect: {
      counters: moves.map((move) => movedCounter(state, move, now)),
      record: { ...record, state: 'expired' },
      event: [state.lastEntry + 1, expiredEvent(record, moves, now)],
    },
  };
}

/** Those past their 24 hours are passed over: they are dropped with the next steps. */
function oldestDue(state: State, now: number): KeptRecord | undefined {
  for (const decisionId of state.open.due(now)) {
    const record = liveRecord(state, decisionId, now);
    if (record) return record;
  }
  return undefined;
}

function expiredEvent({ decidedAt, decisionId, event, outcome }: KeptRecord, moves: Move[], now: number) {
  return usageEvent('expired', {
    ...event,
    ...(outcome.candidate !== null && { candidate: outcome.candidate }),
    decision_id: decisionId,
    limits: moves.map(movedLimit),
    outcome: { granted: true, reason: 'ok' },
    decided_at: decidedAt,
    at: now,
  });
}
