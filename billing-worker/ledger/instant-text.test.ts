import fc from 'fast-check';
import { expect, test } from 'vitest';
import { instantText } from './instant-text.ts';

test('is what JavaScript says, for every instant that an event may have', () => {
  const latest = Date.UTC(10_000, 0) - 1;
  const instants = fc.oneof(fc.integer({ min: 0, max: latest }), fc.constantFrom(0, 1, 86_399_999, 86_400_000, latest));
  fc.assert(
    fc.property(instants, (instant) => {
      expect(instantText(instant)).toBe(new Date(instant).toISOString());
    }),
    { numRuns: 2_000 },
  );
});
