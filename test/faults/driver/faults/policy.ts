import { type Fault, forAWhile } from './fault.ts';

export const policyFaults: readonly Fault[] = [
  { name: 'another policy', run: ({ policy }, dice) => policy.use(dice.pick(policy.revisions)) },
  {
    name: 'a broken policy, and a sound one',
    run: async ({ policy }, dice) => {
      await policy.spoil();
      await forAWhile(dice, 50, 200);
      await policy.use(dice.pick(policy.revisions));
    },
  },
];
