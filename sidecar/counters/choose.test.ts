import { expect, test } from 'vitest';
import type { Candidate, Limit, Plan } from '../../schemas/policy-io.ts';
import { planSchema } from '../../schemas/policy-io.ts';
import { choose } from './choose.ts';

const limit = (id: string) => ({
  id,
  subject: { type: 't', id: 's' },
  unit: 'tokens',
  kind: 'token_bucket',
  capacity: 1,
  cost: 1,
  refill: { amount: 1, per_seconds: 1, mode: 'interval' },
});

const planOf = (common: string[], candidates: Record<string, string[]> = {}): Plan =>
  planSchema.parse({
    limits: common.map(limit),
    candidates: Object.entries(candidates).map(([model, ids]) => ({ model, limits: ids.map(limit) })),
  });

/** Every limit has room but those that are named. */
function chosen(plan: Plan, ...short: string[]) {
  const asked: string[] = [];
  const grants = ({ id }: Limit) => {
    asked.push(id);
    return !short.includes(id);
  };
  const isClosed = ({ model }: Candidate) => (short.includes(model) ? [{ gate: 'g', candidate: model, until: 1 }] : []);
  const { candidate, closed, granted, limits } = choose(plan, {
    grants,
    backAt: () => 2,
    closedGates: isClosed,
  });
  return {
    granted,
    closed: closed.map((gate) => gate.candidate),
    model: candidate?.model,
    limits: limits.map(({ id }) => id),
    asked,
  };
}

const both = planOf(['common'], { first: ['a', 'b'], second: ['c'] });

test.each([
  ['no limits', planOf([]), [], { granted: true, model: undefined, limits: [] }],
  ['common limits with room', planOf(['x', 'y']), [], { granted: true, model: undefined, limits: ['x', 'y'] }],
  ['a common limit that is short', planOf(['x', 'y']), ['y'], { granted: false, model: undefined, limits: ['x', 'y'] }],
  ['the first candidate', both, [], { granted: true, model: 'first', limits: ['common', 'a', 'b'] }],
  ['the second candidate', both, ['b'], { granted: true, model: 'second', closed: ['first'], limits: ['common', 'c'] }],
  ['no candidate', both, ['a', 'c'], { granted: false, model: undefined, limits: ['common', 'a', 'b'] }],
  ['no common room', both, ['common'], { granted: false, model: undefined, closed: [], limits: ['common', 'a', 'b'] }],
  ['a candidate whose gate is closed', both, ['first'], { granted: true, model: 'second', closed: ['first'] }],
  ['nothing but closed gates', both, ['first', 'second'], { granted: false, closed: ['first', 'second'] }],
  ['a candidate without limits', planOf([], { free: [] }), [], { granted: true, model: 'free', limits: [] }],
])('%s', (_, plan, short, expected) => {
  expect(chosen(plan, ...short)).toMatchObject(expected);
});

test('a candidate after the one that is taken is not looked at', () => {
  expect(chosen(both).asked).toEqual(['common', 'a', 'b']);
});
