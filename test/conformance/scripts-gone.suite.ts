import { describe, expect, test } from 'vitest';
import { limit, type Workbench } from './workbench.ts';

const ROUNDS = 20;
const AT_ONCE = 10;

export function describeScriptsGone(bench: () => Workbench): void {
  describe('C13 scripts that the server has forgotten are sent along', () => {
    test('again and again, without an error to any caller, and nothing is taken twice', async () => {
      let working = true;
      const flushes = (async () => {
        let times = 0;
        for (; working; times++) await bench().flushScripts();
        return times;
      })();
      const wanted = limit({ capacity: ROUNDS * AT_ONCE, settles: true });
      for (let round = 0; round < ROUNDS; round++) {
        const taken = await Promise.all(Array.from({ length: AT_ONCE }, () => bench().taken(wanted)));
        await Promise.all(taken.map(({ id }) => bench().settle(id, 1)));
      }
      working = false;
      expect(await flushes).toBeGreaterThan(ROUNDS);
      await bench().refused(wanted);
      expect(await bench().used(wanted)).toBe(ROUNDS * AT_ONCE);
      const types = (await bench().events()).map(({ type }) => type);
      expect(types.filter((type) => type === 'reserved')).toHaveLength(ROUNDS * AT_ONCE);
      expect(types.filter((type) => type === 'settled')).toHaveLength(ROUNDS * AT_ONCE);
    });
  });
}
