import { expect, test } from 'vitest';
import { closeCycle } from '../../billing-worker/invoices/close-cycle.ts';
import { Calendar } from '../../billing-worker/ledger/calendar.ts';
import { Ledger } from '../../billing-worker/ledger/ledger.ts';
import { TestClock } from '../helpers/clock.ts';
import { SOME_DATABASES } from './databases.ts';
import { billed, streamEntry, usageEvent } from './events.ts';
import { workerTerms } from './tenants.ts';

const start = (month: string) => Date.parse(`2026-${month}-01T00:00:00Z`);
const [JUNE, JULY, AUGUST, SEPTEMBER] = ['06', '07', '08', '09'].map(start) as [number, number, number, number];
const DAY = 24 * 60 * 60 * 1_000;

test.each(SOME_DATABASES)(
  'late usage of a cycle is billed, also where an older cycle is closed after it came: $name',
  async ({ open }) => {
    const { sql } = await open();
    const terms = workerTerms.config();
    const clock = new TestClock(AUGUST + DAY);
    const ledger = new Ledger({ sql, terms: { tenants: terms.tenants, calendar: new Calendar() }, onCommit: () => {} });
    const record = async (tokens: number, at: number, recordedAt: number) => {
      await ledger.append([streamEntry(usageEvent({ limits: [billed(tokens)], decided_at: at, at }))]);
      await sql`update usage_events set recorded_at = ${new Date(recordedAt).toISOString()}::timestamptz where tokens = ${tokens}`;
    };
    const close = async (from: number, to: number) =>
      (await closeCycle('acme', { start: from, end: to }, 'test', { sql, terms: () => terms, issuer: 'INV', clock }))
        .invoice;
    await record(10_000, JUNE + DAY, JUNE + DAY);
    await record(20_000, JULY + DAY, JULY + DAY);
    await close(JULY, AUGUST);
    await record(30_000, JULY + 2 * DAY, AUGUST + 3 * DAY);
    clock.set(AUGUST + 20 * DAY);
    await close(JUNE, JULY);
    await record(40_000, AUGUST + 21 * DAY, AUGUST + 21 * DAY);
    clock.set(SEPTEMBER + DAY);
    expect((await close(AUGUST, SEPTEMBER))?.lines.map(({ quantity }) => quantity)).toEqual(['40000', '30000']);
  },
);
