import { describe, expect, test } from 'vitest';
import { type RunOptions, runDay, USUAL } from '../../bench/day/run-day.ts';
import { fullLength } from '../helpers/full-length.ts';

/** Two busy hours of `npm run bench:day`. Google's day begins in the middle of them. */
const HOURS = { ...USUAL, seed: 1, from: 8, to: 10 };
const SIDECAR = { keptBackPercent: 5, passesHeaders: true };

describe('50 users on providers that enforce their limits', () => {
  test('with the sidecar nobody is refused by a provider; alone they are, again and again', async () => {
    const [alone, together] = [await runDay(HOURS), await runDay({ ...HOURS, sidecar: SIDECAR })];
    expect(together.tally.own).toBe(0);
    expect(alone.tally.own).toBeGreaterThan(200);
    // Not because less was asked for, nor because people wait for longer.
    expect(together.tally.wanted).toBe(alone.tally.wanted);
    expect(together.tally.answered + together.tally.gaveUp).toBe(together.tally.wanted);
    expect(together.tally.meanWait).toBeLessThan(alone.tally.meanWait);
    expect(together.tally.denied).toBeGreaterThan(0);
  });

  test('it is the limits of the account that keep them below: without these the sidecar prevents nothing', async () => {
    const unlimited: RunOptions = { ...HOURS, to: 9, sidecar: { ...SIDECAR, keptBackPercent: undefined } };
    expect((await runDay(unlimited)).tally.own).toBeGreaterThan(100);
  });

  test.runIf(fullLength)('while others use the account too, all refusals are because of them', async () => {
    const { tally } = await runDay({ ...HOURS, othersPercent: 30, sidecar: SIDECAR });
    expect(tally.own).toBe(0);
    expect(tally.others).toBeGreaterThan(0);
  });
});
