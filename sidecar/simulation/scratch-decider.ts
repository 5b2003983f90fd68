import { pino } from 'pino';
import type { Clock } from '../../runtime/clock.ts';
import type { CounterStore, TakeRequest, TakeResult } from '../counters/contract.ts';
import { Decider } from '../decision/decide.ts';
import type { Policy } from '../policy/policy.ts';

export interface ScratchDeciderDeps {
  policy: Policy;
  store: CounterStore;
  clock: Clock;
  /** What a take does; that of the store, if not given. */
  take?: (request: TakeRequest) => Promise<TakeResult>;
}

const SILENT = pino({ level: 'silent' });

/**
 * The decision pipeline itself on counters that nobody is charged by: denials leave no event, nothing is owed, and a failure
 * is told by the answer alone.
 */
export function scratchDecider({ clock, policy, store, take }: ScratchDeciderDeps): Decider {
  const taken = take ?? ((request) => store.take(request));
  return new Decider({
    policy: () => policy,
    store,
    revocations: {
      giveBack: async (decisionId, receipt) => {
        await store.settle({ decisionId, kind: 'void', actual: {}, fingerprint: 'refused by the policy', receipt });
      },
    },
    denials: { take: (request) => taken({ ...request, quiet: true }), deny: async () => {} },
    owed: undefined,
    recordsFull: undefined,
    clock,
    log: SILENT,
  });
}
