import type { Plan } from '../../../schemas/policy-io.ts';
import type { TakeRequest } from '../../counters/contract.ts';
import { forgottenAt, standing } from '../../counters/counter.ts';
import { counterKey } from '../../counters/embedded/look.ts';
import type { State } from '../../counters/embedded/state.ts';
import type { Answer } from '../../decision/answer.ts';
import type { Policy } from '../../policy/policy.ts';
import { scratchDecider } from '../scratch-decider.ts';
import { createScratchStore } from '../scratch-store.ts';
import { SimulatedClock } from '../simulated-clock.ts';
import { type Difference, differenceOf, type Verdict, verdictOf } from '../verdict.ts';
import type { RecordedDecision } from './recorded-decision.ts';

/** So many plans are asked for at once: one message to the evaluation thread carries 64. */
const AHEAD = 256;

export interface Replayed {
  recorded: RecordedDecision;
  would: Verdict;
  difference: Difference;
  /** Why the candidate failed. */
  failure: Error | undefined;
}

export interface ReplayOptions {
  policy: Policy;
  /** In the order in which they were made. */
  decisions: AsyncIterable<RecordedDecision>;
  /** How long a call is taken to be in flight: the log tells when it began, and not when it ended. */
  callMs: number;
}

/**
 * Asks a policy what it would have answered to what others answered, one after the other, on counters of its own that stand
 * at the time of each decision. A counter begins at what the record shows when it is first drawn on, and from then on
 * holds what this policy would have granted. An estimate stands: what a call really used is not in the log.
 */
export async function* replay({ callMs, decisions, policy }: ReplayOptions): AsyncGenerator<Replayed> {
  const clock = new SimulatedClock(0);
  const scratch = createScratchStore({ clock, reservationTtlMs: callMs, maxRecords: Number.MAX_SAFE_INTEGER });
  const begun = new Set<string>();
  for await (const some of chunks(decisions, AHEAD)) {
    // What is known already is not waited for when its turn comes.
    await Promise.allSettled(some.map(({ request }) => policy.plan(request.pkg, request.input)));
    for (const recorded of some) {
      clock.set(recorded.at);
      const take = (request: TakeRequest) => {
        scratch.expire();
        begin(scratch.state, request.plan, recorded, begun);
        return scratch.store.take(request);
      };
      const decider = scratchDecider({ policy, store: scratch.store, clock, take });
      // Without a request id there is no conflict.
      const answer = (await decider.decide(recorded.request)) as Answer;
      const would = verdictOf(answer);
      yield { recorded, would, difference: differenceOf(recorded.verdict, would), failure: answer.failure };
    }
  }
}

/** Puts counters that are drawn on for the first time to where the record shows those of the same name. */
function begin(state: State, plan: Plan, { at, before, request }: RecordedDecision, begun: Set<string>): void {
  for (const limit of [...plan.limits, ...plan.candidates.flatMap(({ limits }) => limits)]) {
    const key = counterKey(request.subject.tenant_id, limit);
    if (begun.has(key)) continue;
    begun.add(key);
    const used = before.get(limit.id) ?? 0;
    // Of calls in flight the record does not tell when they ended.
    if (used === 0 || limit.kind === 'concurrency') continue;
    const counter = { ...standing(undefined, limit, at), used };
    state.counters.set(key, { state: counter, emptyAt: forgottenAt(counter, limit, at) });
  }
}

async function* chunks<Item>(items: AsyncIterable<Item>, size: number): AsyncGenerator<Item[]> {
  let chunk: Item[] = [];
  for await (const item of items) {
    chunk.push(item);
    if (chunk.length < size) continue;
    yield chunk;
    chunk = [];
  }
  if (chunk.length) yield chunk;
}
