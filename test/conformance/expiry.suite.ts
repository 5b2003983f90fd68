import { describe, expect, test } from 'vitest';
import { SETTINGS } from '../helpers/counter-settings.ts';
import { calendarWindow, inFlight, limit, plan, type Workbench } from './workbench.ts';

const TTL = SETTINGS.reservationTtlMs;

export function describeExpiry(bench: () => Workbench): void {
  const estimate = limit({ cost: 4, settles: true });
  const types = async () => (await bench().events()).map(({ type }) => type);

  describe('C7 a reservation that nobody settles expires', () => {
    test('not a millisecond before its time, and once', async () => {
      const { id } = await bench().taken(estimate);
      await bench().advance(TTL - 1);
      expect(await bench().store.expire(10)).toBe(0);
      await bench().advance(1);
      expect(await bench().store.expire(10)).toBe(1);
      expect(await bench().store.expire(10)).toBe(0);
      expect(await bench().store.record(id)).toMatchObject({ state: 'expired' });
      expect(await types()).toEqual(['reserved', 'expired']);
    });

    test('its estimate stands', async () => {
      await bench().taken(estimate);
      await bench().advance(TTL);
      await bench().store.expire(10);
      expect(await bench().used(limit())).toBe(4);
      const [, expired] = await bench().events();
      expect(expired?.limits).toEqual([]);
    });

    test('and a settle within 24 hours still corrects it, once', async () => {
      const { id } = await bench().taken(estimate);
      await bench().advance(TTL);
      await bench().store.expire(10);
      await bench().settle(id, 9);
      expect(await bench().settle(id, 9)).toMatchObject({ kind: 'settled', replayed: true });
      expect(await bench().used(limit())).toBe(9);
      expect(await types()).toEqual(['reserved', 'expired', 'settled']);
    });

    test('what was settled or voided in time does not', async () => {
      await bench().settle((await bench().taken(estimate)).id, 4);
      await bench().void((await bench().taken(estimate)).id);
      await bench().advance(TTL);
      expect(await bench().store.expire(10)).toBe(0);
    });

    test('what is final does not', async () => {
      await bench().taken(limit(), { requestId: 'final' });
      await bench().advance(TTL);
      expect(await bench().store.expire(10)).toBe(0);
    });

    test('no more at a time than asked for, oldest first', async () => {
      const ids = [];
      for (let count = 0; count < 5; count++) {
        ids.push((await bench().taken(calendarWindow({ settles: true }))).id);
        await bench().advance(1);
      }
      await bench().advance(TTL);
      expect(await bench().store.expire(2)).toBe(2);
      const states = await Promise.all(ids.map(async (id) => (await bench().store.record(id))?.state));
      expect(states).toEqual(['expired', 'expired', 'reserved', 'reserved', 'reserved']);
      expect(await bench().store.expire(10)).toBe(3);
    });
  });

  describe('what was in flight and expired', () => {
    test('is no longer counted, and its event says so', async () => {
      await bench().taken(plan(inFlight({ capacity: 1 }), limit({ cost: 2 })));
      await bench().refused(inFlight({ capacity: 1 }));
      await bench().advance(TTL);
      await bench().store.expire(10);
      await bench().taken(inFlight({ capacity: 1 }));
      expect(await bench().used(limit())).toBe(2);
      const expired = (await bench().events()).find(({ type }) => type === 'expired');
      expect(expired?.limits).toMatchObject([{ id: 'in flight', amount: -1, before: 1, after: 0 }]);
    });

    test('does not land a second time when it is reported after all', async () => {
      const late = await bench().taken(inFlight());
      await bench().advance(TTL);
      await bench().store.expire(10);
      await bench().taken(inFlight());
      await bench().settle(late.id, 5);
      expect(await bench().used(inFlight())).toBe(1);
    });
  });
}
