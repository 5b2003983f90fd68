import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { BillingCycle } from '../../schemas/config/tenants.ts';
import { cycleAt, dayAt } from '../cycles.ts';
import { Calendar } from './calendar.ts';

const CYCLES: BillingCycle[] = [
  { period: 'month', anchor_day: 1, timezone: 'UTC' },
  { period: 'month', anchor_day: 31, timezone: 'Europe/Berlin' },
  { period: 'month', anchor_day: 30, timezone: 'Europe/Berlin' },
  { period: 'week', anchor_day: 1, timezone: 'Europe/Berlin' },
  { period: 'quarter', anchor_day: 30, anchor_month: 1, timezone: 'Europe/Berlin' },
  { period: 'quarter', anchor_day: 30, anchor_month: 3, timezone: 'Europe/Berlin' },
];

test('what is remembered is what would be computed, in whatever order instants and cycles come', () => {
  const start = Date.parse('2026-03-27T00:00:00Z');
  const step = fc.tuple(fc.integer({ min: start, max: start + 5 * 86_400_000 }), fc.constantFrom(...CYCLES));
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 30 }), (steps) => {
      const calendar = new Calendar();
      for (const [instant, cycle] of steps) {
        const expected = { day: dayAt(instant, cycle.timezone), cycle: cycleAt(instant, cycle) };
        expect(calendar.at(instant, cycle)).toEqual(expected);
      }
    }),
    { numRuns: 200 },
  );
});
