import type { LimitOutcome } from '../../schemas/policy-io.ts';
import type { Answer } from '../decision/answer.ts';
import { decisive } from '../decision/message.ts';
import { instant } from './instant.ts';

/**
 * What a metered decision came from, in its order: the plan's refusal, or the gates that passed a model over and each
 * counter before and after, with the one that decided. As OPA's, it is a list of events, and of sentences if `pretty`.
 */
export function explain(answer: Answer, pretty: boolean): object[] | string[] {
  const events = eventsOf(answer);
  return pretty ? events.map(({ message }) => message) : events;
}

interface Event {
  op: 'plan' | 'gate' | 'limit' | 'decision';
  message: string;
}

function eventsOf({ decision, outcome, plan, replayed }: Answer): (Event & Record<string, unknown>)[] {
  const { allow, reason } = decision;
  const end = { op: 'decision' as const, allow, reason, message: `${allow ? 'allowed' : 'denied'}: ${reason}` };
  if (plan?.refuse) return [{ op: 'plan', message: `the plan refuses: ${plan.refuse.reason}` }, end];
  if (!outcome) return [end];
  const gates = outcome.closed.map(({ candidate, gate, until }) => ({
    op: 'gate' as const,
    gate,
    candidate,
    until: instant(until),
    message: `${candidate} is passed over: ${gate} is closed until ${instant(until) ?? 'it is opened'}`,
  }));
  const decided = decisive(outcome);
  const limits = outcome.limits.map((limit) => limitEvent(limit, limit === decided, replayed));
  return [...gates, ...limits, { ...end, candidate: outcome.candidate }];
}

function limitEvent(limit: LimitOutcome, decided: boolean, replayed: boolean) {
  const { before, capacity, granted, id, on_exceed, reset_at, retry_after_ms, used } = limit;
  const room = granted ? (limit.over ? 'taken beyond its capacity' : 'room') : 'no room';
  const then = replayed ? ', as the first time' : '';
  return {
    op: 'limit' as const,
    limit: id,
    decided,
    on_exceed,
    granted,
    over: limit.over,
    capacity,
    before,
    after: used,
    remaining: limit.remaining,
    used_percent: limit.used_percent,
    crossed: limit.crossed,
    reset_at: instant(reset_at),
    retry_after_ms,
    message: `${id} (${on_exceed}): ${room}: ${before} before, ${used} after, of ${capacity}${then}${decided ? '; this one decided' : ''}`,
  };
}
