import fc from 'fast-check';
import { expect, test } from 'vitest';
import { boundsAt } from './periods.ts';

const ZONES = ['UTC', 'Europe/Berlin', 'America/New_York', 'Asia/Kathmandu', 'Africa/Cairo', 'Australia/Lord_Howe'];

const rules = fc.record({
  period: fc.constantFrom('day' as const, 'week' as const, 'month' as const),
  reset_day: fc.integer({ min: 1, max: 31 }),
  reset_time: fc.constantFrom('00:00', '02:30', '23:59'),
  timezone: fc.constantFrom(...ZONES),
});

const instants = fc.integer({ min: Date.parse('2024-01-01'), max: Date.parse('2030-01-01') });

test('every instant is in exactly one period, and each period ends where the next begins', () => {
  fc.assert(
    fc.property(rules, instants, (given, instant) => {
      const rule = given.period === 'week' ? { ...given, reset_day: (given.reset_day % 7) + 1 } : given;
      const [before, start, next, afterNext] = boundsAt(rule, instant);
      expect(start).toBeLessThanOrEqual(instant);
      expect(instant).toBeLessThan(next);
      expect(boundsAt(rule, start - 1).slice(1, 3)).toEqual([before, start]);
      expect(boundsAt(rule, next).slice(1, 3)).toEqual([next, afterNext]);
      expect(boundsAt(rule, start)[1]).toBe(start);
    }),
    { numRuns: 2_000 },
  );
});
