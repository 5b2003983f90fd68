import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { RecordsFull } from '../../sidecar/counters/contract.ts';
import { limit, type OpenStore, Workbench } from './workbench.ts';

const MOST = 3;
const DAY_MS = 24 * 60 * 60 * 1000;
/** Records are counted by the ten minutes in which they were written. */
const SPAN_MS = 600_000;

export function describeRecords(open: OpenStore, { settableClock }: { settableClock: boolean }): void {
  describe('C4 no more grants are remembered than there may be', () => {
    const wide = limit({ capacity: 100 });
    const estimate = limit({ capacity: 100, settles: true });
    let bench: Workbench;

    beforeEach(async () => {
      bench = new Workbench(await open({ maxRecords: MOST }));
      await bench.taken(wide, { requestId: 'first' });
      for (let each = 1; each < MOST; each++) await bench.taken(estimate);
    });
    afterEach(() => bench.close());

    test('what needs remembering is not granted, and charges nothing', async () => {
      await expect(bench.take(estimate)).rejects.toThrow(RecordsFull);
      await expect(bench.take(wide, { requestId: 'second' })).rejects.toThrow(/MAX_DECISION_RECORDS/);
      expect(await bench.used(wide)).toBe(MOST);
      expect(await bench.events()).toHaveLength(MOST);
    });

    test('what needs none goes on, and what is remembered is found', async () => {
      await bench.taken(wide);
      expect(await bench.take(wide, { requestId: 'first' })).toMatchObject({ kind: 'replayed' });
      expect((await bench.refused(limit({ id: 'short', cost: 11, settles: true }))).granted).toBe(false);
    });

    test('what is owed is charged all the same', async () => {
      const owed = { decisionId: bench.newId(), plan: { limits: [wide], candidates: [], raw_counters: false } };
      const event = { tenant_id: bench.tenant };
      expect(await bench.store.owe({ ...owed, event, fingerprint: '', decidedAt: 0 })).toMatchObject({ kind: 'taken' });
    });

    if (!settableClock) return;

    test('after their 24 hours there is room again', async () => {
      await bench.advance(DAY_MS / 2);
      await expect(bench.take(estimate)).rejects.toThrow(RecordsFull);
      await bench.advance(DAY_MS / 2 + SPAN_MS);
      for (let each = 0; each < MOST; each++) await bench.taken(estimate);
      await expect(bench.take(estimate)).rejects.toThrow(RecordsFull);
      await bench.advance(400 * DAY_MS);
      for (let each = 0; each < MOST; each++) await bench.taken(estimate);
      await expect(bench.take(estimate)).rejects.toThrow(RecordsFull);
    });
  });
}
