import { pino } from 'pino';
import type { Clock } from '../../runtime/clock.ts';
import type { CounterStore } from '../counters/contract.ts';
import { Decider } from '../decision/decide.ts';
import type { Policy } from '../policy/policy.ts';

export interface ScratchDeciderDeps {
  policy: Policy;
  store: Pick<CounterStore, 'partitionOf' | 'peek' | 'settle' | 'take'>;
  clock: Clock;
}

const SILENT = pino({ level: 'silent' });

/**
 * The decision pipeline itself on counters that nobody is charged by: denials leave no event, nothing is owed, and a failure
 * is told by the answer alone.
 */
export function scratchDecider({ clock, policy, store }: ScratchDeciderDeps): Decider {
  return new Decider({
    policy: () => policy,
    store,
    revocations: {
      giveBack: async (decisionId, receipt) => {
        await store.settle({ decisionId, kind: 'void', actual: {}, fingerprint: 'refused by the policy', receipt });
      },
    },
    denials: { take: (request) => store.take({ ...request, quiet: true }), deny: async () => {} },
    owed: undefined,
    recordsFull: undefined,
    clock,
    log: SILENT,
  });
}
