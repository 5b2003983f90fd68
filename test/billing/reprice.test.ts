import type { Sql } from 'postgres';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { closeCycle } from '../../billing-worker/invoices/close-cycle.ts';
import { issueCreditNote } from '../../billing-worker/invoices/credit-note.ts';
import type { InvoiceDocument } from '../../billing-worker/invoices/document.ts';
import { readInvoice } from '../../billing-worker/invoices/read.ts';
import type { Terms } from '../../billing-worker/invoices/scope.ts';
import { changeState } from '../../billing-worker/invoices/states.ts';
import { Calendar } from '../../billing-worker/ledger/calendar.ts';
import { Ledger } from '../../billing-worker/ledger/ledger.ts';
import { RepriceRefused, reprice } from '../../billing-worker/reprice/reprice.ts';
import { modelsSchema } from '../../schemas/config/models.ts';
import { tenantsSchema } from '../../schemas/config/tenants.ts';
import type { UsageEvent } from '../../schemas/usage-event.ts';
import { TestClock } from '../helpers/clock.ts';
import { SOME_DATABASES } from './databases.ts';
import { billed, streamEntry, usageEvent } from './events.ts';

const month = (from: string, to: string) => ({
  start: Date.parse(`${from}-01T00:00:00Z`),
  end: Date.parse(`${to}-01T00:00:00Z`),
});
const SEPTEMBER = month('2026-09', '2026-10');
const OCTOBER = month('2026-10', '2026-11');
const NOVEMBER = month('2026-11', '2026-12');
const at = (date: string) => Date.parse(`2026-${date}T12:00:00Z`);

const tenantsWith = (team: object) =>
  tenantsSchema.parse({
    defaults: { capacity: 10_000, refill: 'daily', price_per_token: '0.0001', billing_cycle: { period: 'month' } },
    plans: { card: { rate_card: true, markup_percent: '10' }, team },
    tenants: { llm: { plan: 'card' }, team: { plan: 'team' } },
  });
const card = (input: string, more: object = {}) =>
  modelsSchema.parse({ models: { sonnet: { input, output: '15.00', ...more } } });

describe.each(SOME_DATABASES)('on $name', ({ open }) => {
  let sql: Sql;
  let terms: Terms;
  let clock: TestClock;

  beforeAll(async () => {
    ({ sql } = await open());
  }, 120_000);

  beforeEach(async () => {
    clock = new TestClock(at('10-02'));
    terms = { tenants: tenantsWith({ included_tokens: 100, price_per_token: '0.01' }), models: card('3.00') };
    const guarded =
      'invoices invoice_lines billed_events invoice_states invoice_adjustments billed_adjustments audit_events'.split(
        ' ',
      );
    for (const table of guarded) await sql.unsafe(`alter table ${table} disable trigger ${table}_refuse_change`);
    await sql.unsafe(`truncate usage_events, usage_rollups, held_events, invoice_numbers, ${guarded.join(', ')}`);
    for (const table of guarded) await sql.unsafe(`alter table ${table} enable always trigger ${table}_refuse_change`);
  });

  const deps = () => ({ sql, terms: () => terms, issuer: 'INV', clock });
  async function record(...events: Partial<UsageEvent>[]) {
    const ledger = new Ledger({ sql, terms: { tenants: terms.tenants, calendar: new Calendar() }, onCommit: () => {} });
    const whole = events.map((event) =>
      usageEvent({ tenant_id: 'llm', decided_at: at('09-15'), at: event.decided_at ?? at('09-15'), ...event }),
    );
    await ledger.append(whole.map(streamEntry));
  }
  const llm = (usage: UsageEvent['usage'], more: Partial<UsageEvent> = {}): Partial<UsageEvent> => ({
    type: 'settled',
    limits: [billed(0)],
    model: 'sonnet',
    ...(usage && { usage }),
    ...more,
  });
  async function close(cycle = SEPTEMBER, tenant = 'llm'): Promise<InvoiceDocument> {
    const { invoice } = await closeCycle(tenant, cycle, 'test', deps());
    if (!invoice) throw new Error('nothing was billed');
    return invoice;
  }
  async function again(invoice: InvoiceDocument, dryRun = false) {
    const found = await reprice({ invoiceId: invoice.id, dryRun, by: 'test' }, deps());
    if (!found) throw new Error('no such invoice');
    return found;
  }
  const bytes = async ({ id }: InvoiceDocument) => (await readInvoice(id, sql))?.document;
  const rows = async (table: string) => (await sql.unsafe(`select count(*)::int as n from ${table}`))[0]?.n;
  const unchanged = { difference: '0.00', credit_note: null, adjustment: null };

  test('nothing was wrong: nothing changes', async () => {
    await record(llm({ input: 1_000_000, output: 1_000 }));
    const invoice = await close();
    const result = await again(invoice);
    expect(result).toMatchObject({ ...unchanged, billed: invoice.total, now: invoice.total });
    expect(await rows('invoices')).toBe(1);
  });

  test('a price that was too high is a credit note with the difference of each line, once; the invoice stays as it was', async () => {
    await record(llm({ input: 1_000_000, output: 1_000_000 }));
    const invoice = await close();
    const before = await bytes(invoice);
    terms = { ...terms, models: card('2.00') };
    const lines = [
      { model: 'sonnet', token_type: 'input', billed: '3.00', now: '2.00', difference: '-1.00' },
      { model: 'sonnet', token_type: 'output', billed: '15.00', now: '15.00', difference: '0.00' },
      { billed: '1.80', now: '1.70', difference: '-0.10' },
    ];
    expect(await again(invoice, true)).toMatchObject({ lines, difference: '-1.10', credit_note: null });
    expect(await rows('invoices')).toBe(1);
    expect((await again(invoice)).credit_note).toMatchObject({
      number: 'INV-000002',
      kind: 'credit_note',
      credits: invoice.id,
      total: '-1.10',
      lines: [
        { kind: 'reprice', description: 'sonnet, input tokens: 2.00 instead of 3.00', amount: '-1.00' },
        { kind: 'reprice', amount: '-0.10' },
      ],
    });
    expect(await again(invoice)).toMatchObject(unchanged);
    expect(await rows('invoices')).toBe(2);
    expect(await bytes(invoice)).toBe(before);
    expect(await sql`select actor, target from audit_events where action = 'invoice.repriced'`).toEqual([
      { actor: 'test', target: invoice.id },
    ]);
  });

  test('a price that was too low is one line of the next invoice, and of no other, also where many ask for it', async () => {
    await record(llm({ input: 1_000_000 }));
    const invoice = await close();
    terms = { ...terms, models: card('5.00') };
    const results = await Promise.all(Array.from({ length: 5 }, () => again(invoice)));
    expect(results.filter(({ adjustment }) => adjustment)).toHaveLength(1);
    expect(await rows('invoice_adjustments')).toBe(1);
    expect(await again(invoice)).toMatchObject(unchanged);
    clock.set(at('11-02'));
    await record(llm({ input: 1_000_000 }, { decided_at: at('10-15') }));
    const closed = await Promise.all([close(OCTOBER), close(OCTOBER)]);
    expect(closed[0]).toEqual(closed[1]);
    expect(closed[0]?.lines).toMatchObject([
      { amount: '5.00' },
      { amount: '0.50' },
      { kind: 'reprice', amount: '2.20', adjustment: true, description: expect.stringContaining('INV-000001') },
    ]);
    expect(closed[0]?.total).toBe('7.70');
    expect(await rows('billed_adjustments')).toBe(1);
    clock.set(at('12-02'));
    await record(llm({ input: 1_000_000 }, { decided_at: at('11-15') }));
    expect((await close(NOVEMBER)).total).toBe('5.50');
    // The line of the correction is no usage of the invoice that it is on.
    expect(await again(closed[0] as InvoiceDocument)).toMatchObject(unchanged);
  });

  test('what is wrong twice is put right twice; what is more than is left of an invoice lowers the next one', async () => {
    await record(llm({ input: 1_000_000 }));
    const invoice = await close();
    terms = { ...terms, models: card('13.00') };
    expect((await again(invoice)).adjustment?.amount).toBe('11.00');
    terms = { ...terms, models: card('2.00') };
    const back = await again(invoice);
    expect([back.adjustment?.amount, back.credit_note]).toEqual(['-12.10', null]);
    expect(await again(invoice)).toMatchObject(unchanged);
    clock.set(at('11-02'));
    await record(llm({ input: 10_000_000 }, { decided_at: at('10-15') }));
    expect((await close(OCTOBER)).total).toBe('20.90');
  });

  test('what was given back for another reason is not given back again, and not taken back', async () => {
    await record(llm({ input: 1_000_000 }));
    const invoice = await close();
    await issueCreditNote({ invoiceId: invoice.id, amount: '1.00', reason: 'an outage', by: 'test' }, deps());
    terms = { ...terms, models: card('2.50') };
    expect(await again(invoice)).toMatchObject({ ...unchanged, credited: '1.00' });
    terms = { ...terms, models: card('1.00') };
    expect((await again(invoice)).credit_note).toMatchObject({ total: '-1.20' });
    expect(await again(invoice)).toMatchObject(unchanged);
    terms = { ...terms, models: card('3.00') };
    expect((await again(invoice)).adjustment?.amount).toBe('1.20');
  });

  test('a price that should have held from another time moves usage from one to the other', async () => {
    await record(
      llm({ input: 1_000_000 }, { decided_at: at('09-10') }),
      llm({ input: 1_000_000 }, { decided_at: at('09-20') }),
    );
    terms = {
      ...terms,
      models: card('3.00', { prices: [{ effective_from: '2026-09-15', input: '1.00', output: '15.00' }] }),
    };
    const invoice = await close();
    expect(invoice.total).toBe('4.40');
    terms = {
      ...terms,
      models: card('3.00', { prices: [{ effective_from: '2026-09-05', input: '1.00', output: '15.00' }] }),
    };
    expect((await again(invoice)).credit_note?.total).toBe('-2.20');
  });

  test('included tokens and late usage are priced as they were billed: each invoice its own events', async () => {
    await record({ tenant_id: 'team', limits: [billed(150)] });
    const invoice = await close(SEPTEMBER, 'team');
    expect(invoice.total).toBe('0.50');
    clock.set(at('11-02'));
    await record(
      { tenant_id: 'team', limits: [billed(30)], at: at('10-10') },
      { tenant_id: 'team', limits: [billed(300)], decided_at: at('10-10') },
    );
    const next = await close(OCTOBER, 'team');
    expect(next.total).toBe('2.30');
    terms = { ...terms, tenants: tenantsWith({ included_tokens: 100, price_per_token: '0.02' }) };
    expect((await again(invoice)).adjustment?.amount).toBe('0.50');
    expect((await again(next)).adjustment?.amount).toBe('2.30');
  });

  test('is refused for what is void, no invoice, or has no price any more', async () => {
    await record(llm({ input: 1_000_000 }));
    const invoice = await close();
    const note = await issueCreditNote({ invoiceId: invoice.id, amount: '1', reason: 'x', by: 'test' }, deps());
    await expect(again(note as InvoiceDocument)).rejects.toThrow(RepriceRefused);
    terms = { ...terms, models: modelsSchema.parse({}) };
    await expect(again(invoice)).rejects.toThrow('no price any more: sonnet');
    await changeState(invoice.id, { state: 'void', at: clock.now(), by: 'test' }, sql);
    await expect(again(invoice)).rejects.toThrow('void');
    expect(await reprice({ invoiceId: 'unknown', dryRun: true, by: 'test' }, deps())).toBeUndefined();
  });

  test('a correction is changed by nobody', async () => {
    await record(llm({ input: 1_000_000 }));
    const invoice = await close();
    terms = { ...terms, models: card('5.00') };
    await again(invoice);
    clock.set(at('11-02'));
    await record(llm({ input: 1 }, { decided_at: at('10-15') }));
    await close(OCTOBER);
    for (const table of ['invoice_adjustments', 'billed_adjustments']) {
      for (const change of [`update ${table} set invoice_id = 'x'`, `delete from ${table}`, `truncate ${table}`]) {
        await expect(sql.unsafe(change), change).rejects.toThrow(/never changed/);
      }
    }
  });
});
