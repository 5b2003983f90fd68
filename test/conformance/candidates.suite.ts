import { describe, expect, test } from 'vitest';
import { candidates, limit, type Workbench } from './workbench.ts';

const common = limit({ id: 'common', capacity: 10 });
const sonnet = limit({ id: 'sonnet', capacity: 1, unit: 'requests' });
const haiku = limit({ id: 'haiku', capacity: 2, unit: 'requests' });
const choice = candidates(
  [common],
  { model: 'anthropic/sonnet', limits: [sonnet] },
  { model: 'anthropic/haiku', limits: [haiku] },
);

export function describeCandidates(bench: () => Workbench): void {
  describe('the first candidate that has room is taken', () => {
    test('with its own limits and the common ones, and nothing of the others', async () => {
      const { outcome } = await bench().taken(choice);
      expect(outcome).toMatchObject({ candidate: 'anthropic/sonnet', limits: [{ id: 'common' }, { id: 'sonnet' }] });
      expect(await Promise.all([common, sonnet, haiku].map((each) => bench().used(each)))).toEqual([1, 1, 0]);
      expect(await bench().events()).toMatchObject([{ candidate: 'anthropic/sonnet' }]);
    });

    test('the next one when it is short', async () => {
      await bench().taken(choice);
      const { outcome } = await bench().taken(choice);
      expect(outcome).toMatchObject({ candidate: 'anthropic/haiku', limits: [{ id: 'common' }, { id: 'haiku' }] });
      expect(await Promise.all([common, sonnet, haiku].map((each) => bench().used(each)))).toEqual([2, 1, 1]);
    });

    test('none when all are short: reported by the common limits and the first one’s, nothing charged', async () => {
      for (let each = 0; each < 3; each++) await bench().taken(choice);
      const outcome = await bench().refused(choice);
      expect(outcome).toMatchObject({
        granted: false,
        candidate: null,
        limits: [
          { id: 'common', granted: true, before: 3, used: 3 },
          { id: 'sonnet', granted: false, over: true, before: 1, used: 1 },
        ],
      });
      expect(await Promise.all([common, sonnet, haiku].map((each) => bench().used(each)))).toEqual([3, 1, 2]);
    });

    test('none when a common limit is short', async () => {
      const dear = candidates([{ ...common, cost: 11 }], ...choice.candidates);
      const outcome = await bench().refused(dear);
      expect(outcome).toMatchObject({ candidate: null, limits: [{ id: 'common', granted: false }, { id: 'sonnet' }] });
      expect(await bench().used(sonnet)).toBe(0);
    });

    test('a last one whose limit only flags takes what the others refuse', async () => {
      const soft = candidates(
        [],
        { model: 'dear', limits: [{ ...sonnet, cost: 2 }] },
        { model: 'cheap', limits: [limit({ id: 'budget', cost: 11, on_exceed: 'flag' })] },
      );
      const { outcome } = await bench().taken(soft);
      expect(outcome).toMatchObject({ granted: true, candidate: 'cheap', limits: [{ id: 'budget', over: true }] });
    });

    test('two candidates may draw on the same counter at their own cost', async () => {
      const budget = (cost: number) => limit({ id: 'budget', capacity: 10, cost });
      const weighted = candidates([], { model: 'dear', limits: [budget(7)] }, { model: 'cheap', limits: [budget(2)] });
      const chosen = [];
      for (let each = 0; each < 2; each++) chosen.push((await bench().taken(weighted)).outcome.candidate);
      expect(chosen).toEqual(['dear', 'cheap']);
      expect(await bench().used(budget(0))).toBe(9);
    });
  });
}
