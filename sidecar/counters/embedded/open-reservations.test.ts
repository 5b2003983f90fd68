import fc from 'fast-check';
import { expect, test } from 'vitest';
import { OpenReservations } from './open-reservations.ts';

test('whatever is added and deleted, those whose time is over come in the order of their time', () => {
  const step = fc.record({ id: fc.nat(12).map(String), until: fc.nat(20), deleted: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), fc.nat(20), (steps, now) => {
      const open = new OpenReservations();
      let expected: { id: string; until: number }[] = [];
      for (const { deleted, id, until } of steps) {
        const known = expected.find((each) => each.id === id);
        if (deleted) open.delete(id);
        else if (!known) open.add(id, until);
        if (deleted) expected = expected.filter((each) => each.id !== id);
        else if (!known) expected.push({ id, until });
        [...open.due(now)];
      }
      const due = expected.filter(({ until }) => until <= now).toSorted((a, b) => a.until - b.until);
      expect([...open.due(now)]).toEqual(due.map(({ id }) => id));
      expect(open.size).toBe(expected.length);
    }),
    { numRuns: 5_000 },
  );
});
