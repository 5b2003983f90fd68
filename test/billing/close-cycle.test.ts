import type { Sql } from 'postgres';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { closeCycle, type InvoicingDeps, previewCycle } from '../../billing-worker/invoices/close-cycle.ts';
import { CreditRefused, issueCreditNote } from '../../billing-worker/invoices/credit-note.ts';
import { dueCycles } from '../../billing-worker/invoices/due-cycles.ts';
import { lineEvents, listInvoices, readInvoice } from '../../billing-worker/invoices/read.ts';
import type { Terms } from '../../billing-worker/invoices/scope.ts';
import { changeState } from '../../billing-worker/invoices/states.ts';
import { Calendar } from '../../billing-worker/ledger/calendar.ts';
import { Ledger } from '../../billing-worker/ledger/ledger.ts';
import { modelsSchema } from '../../schemas/config/models.ts';
import { tenantsSchema } from '../../schemas/config/tenants.ts';
import type { UsageEvent } from '../../schemas/usage-event.ts';
import { TestClock } from '../helpers/clock.ts';
import { DATABASES } from './databases.ts';
import { billed, streamEntry, usageEvent } from './events.ts';

const SEPTEMBER = { start: Date.parse('2026-09-01T00:00:00Z'), end: Date.parse('2026-10-01T00:00:00Z') };
const OCTOBER = { start: SEPTEMBER.end, end: Date.parse('2026-11-01T00:00:00Z') };
const NOVEMBER = { start: OCTOBER.end, end: Date.parse('2026-12-01T00:00:00Z') };
const at = (date: string) => Date.parse(`2026-${date}T12:00:00Z`);

const defaults = { capacity: 10_000, refill: 'daily', price_per_token: '0.0001', billing_cycle: { period: 'month' } };
const tenantsWith = (more: object) => tenantsSchema.parse({ defaults, ...more });
const card = (prices: object) => modelsSchema.parse({ models: prices });

const SONNET = { input: '3.00', output: '15.00', aliases: ['anthropic/claude-sonnet-4-5-20250301'] };
const TERMS: Terms = {
  tenants: tenantsWith({
    plans: {
      card: { rate_card: true },
      team: { base_fee: '20.00', included_tokens: 100, price_per_token: '0.01', minimum: '25.00' },
    },
    tenants: { acme: {}, llm: { plan: 'card' }, fee: { plan: 'team' } },
  }),
  models: card({ 'anthropic/claude-sonnet-4-5': SONNET }),
};

describe.each(DATABASES)('on $name', ({ open }) => {
  let sql: Sql;
  let terms: Terms;
  let clock: TestClock;
  let deps: InvoicingDeps;

  beforeAll(async () => {
    ({ sql } = await open());
  }, 120_000);

  beforeEach(async () => {
    terms = TERMS;
    clock = new TestClock(at('10-02'));
    deps = { sql, terms: () => terms, issuer: 'INV', clock };
    await sql`set session_replication_role = replica`.catch(() => {});
    const tables = ['invoice_lines', 'invoice_states', 'billed_events', 'invoices'];
    for (const table of tables) await sql.unsafe(`alter table ${table} disable trigger user`);
    await sql`truncate usage_events, usage_rollups, invoice_lines, invoice_states, billed_events, invoices, invoice_numbers, held_events`;
    for (const table of tables) await sql.unsafe(`alter table ${table} enable always trigger ${table}_refuse_change`);
  });

  async function record(...events: Partial<UsageEvent>[]) {
    const ledger = new Ledger({ sql, terms: { tenants: terms.tenants, calendar: new Calendar() }, onCommit: () => {} });
    const whole = events.map((event) =>
      usageEvent({ at: event.decided_at ?? at('09-15'), decided_at: at('09-15'), ...event }),
    );
    await ledger.append(whole.map(streamEntry));
    return whole;
  }
  const llm = (usage: UsageEvent['usage'], more: Partial<UsageEvent> = {}): Partial<UsageEvent> => ({
    tenant_id: 'llm',
    type: 'settled',
    limits: [billed(0)],
    model: 'anthropic/claude-sonnet-4-5',
    ...(usage && { usage }),
    ...more,
  });
  const close = (tenant: string, cycle = SEPTEMBER) => closeCycle(tenant, cycle, 'test', deps);
  const rows = async (table: string) => (await sql.unsafe(`select count(*)::int as n from ${table}`))[0]?.n;

  test('the tutorial: the sum of the cycle’s tokens × $0.0001, from its first instant to its last', async () => {
    await record(
      ...Array.from({ length: 100 }, () => ({ limits: [billed(100)] })),
      { limits: [billed(1)], decided_at: SEPTEMBER.start },
      { limits: [billed(2)], decided_at: SEPTEMBER.end - 1 },
      { limits: [billed(1_000_000)], decided_at: SEPTEMBER.end },
      { limits: [billed(1_000_000)], decided_at: SEPTEMBER.start - 1 },
      { limits: [billed(500)], tenant_id: 'other' },
    );
    const { invoice } = await close('acme');
    expect(invoice).toMatchObject({
      number: 'INV-000001',
      kind: 'invoice',
      tenant_id: 'acme',
      cycle: { start: '2026-09-01T00:00:00.000Z', end: '2026-10-01T00:00:00.000Z' },
      currency: 'USD',
      lines: [
        {
          line: 1,
          kind: 'tokens',
          quantity: '10003',
          unit_price: '0.0001',
          per: 1,
          exact_amount: '1.0003',
          amount: '1.00',
        },
      ],
      total: '1.00',
    });
    expect(await rows('billed_events')).toBe(102);
  });

  test('tokens of a model by the rate card, by any of its names, each type a line', async () => {
    await record(
      llm({ input: 1_234_567 }),
      llm({ output: 345_678 }, { model: 'anthropic/claude-sonnet-4-5-20250301' }),
    );
    const { invoice } = await close('llm');
    expect(invoice?.lines.map(({ amount, exact_amount, quantity }) => [quantity, exact_amount, amount])).toEqual([
      ['1234567', '3.703701', '3.70'],
      ['345678', '5.18517', '5.19'],
    ]);
    expect(invoice?.total).toBe('8.89');
  });

  test('a price that changes in the middle holds from its instant on', async () => {
    const prices = [{ effective_from: '2026-09-16T00:00:00Z', input: '6.00', output: '15.00' }];
    terms = { ...terms, models: card({ 'anthropic/claude-sonnet-4-5': { ...SONNET, prices } }) };
    await record(
      llm({ input: 1_000_000 }, { decided_at: Date.parse('2026-09-15T23:59:59.999Z') }),
      llm({ input: 1_000_000 }, { decided_at: Date.parse('2026-09-16T00:00:00.000Z') }),
    );
    const { invoice } = await close('llm');
    expect(invoice?.lines.map(({ amount }) => amount)).toEqual(['3.00', '6.00']);
    const { data } = await lineEventsOf(invoice?.id, 2);
    expect(data).toMatchObject([{ decided_at: '2026-09-16T00:00:00.000Z' }]);
  });

  const lineEventsOf = async (invoiceId = '', line = 1, limit = 100, after?: { at: number; id: string }) => {
    const found = await lineEvents({ invoiceId, line, limit, after }, sql);
    if (!found) throw new Error('no such line');
    return found;
  };

  test('each line leads to its events, and to no other', async () => {
    const made = await record(
      llm({ input: 10 }),
      llm({ input: 20, output: 5 }),
      llm({ output: 7 }, { model: 'anthropic/claude-sonnet-4-5-20250301' }),
      { tenant_id: 'acme' },
    );
    const { invoice } = await close('llm');
    const ids = async (line: number) => (await lineEventsOf(invoice?.id, line)).data.map(({ id }) => id).sort();
    expect(await ids(1)).toEqual([made[0]?.id, made[1]?.id].sort());
    expect(await ids(2)).toEqual([made[1]?.id, made[2]?.id].sort());
    expect(await lineEvents({ invoiceId: invoice?.id ?? '', line: 3, limit: 1 }, sql)).toBeUndefined();
    const first = await lineEventsOf(invoice?.id, 1, 1);
    const second = await lineEventsOf(invoice?.id, 1, 1, first.next ?? undefined);
    expect([...first.data, ...second.data].map(({ id }) => id).sort()).toEqual(await ids(1));
    expect(second.next).toBeNull();
  });

  test('a model without a price is held, not billed at zero, and billed once there is a price', async () => {
    await record(llm({ input: 1_000_000 }), llm({ input: 2_000_000 }, { model: 'acme/new' }));
    const first = await close('llm');
    expect(first.invoice?.total).toBe('3.00');
    expect(first.held).toMatchObject([{ model: 'acme/new', events: 1, tokens: '2000000' }]);
    expect(await rows('held_events')).toBe(1);

    clock.set(at('11-02'));
    await record(llm({ input: 1_000_000 }, { decided_at: at('10-15') }));
    terms = {
      ...terms,
      models: card({ 'anthropic/claude-sonnet-4-5': SONNET, 'acme/new': { input: '1', output: '1' } }),
    };
    const { invoice } = await close('llm', OCTOBER);
    expect(invoice?.lines).toMatchObject([
      { amount: '3.00', model: 'anthropic/claude-sonnet-4-5' },
      { amount: '2.00', model: 'acme/new', adjustment: true, cycle: { start: '2026-09-01T00:00:00.000Z' } },
    ]);
    expect(await rows('held_events')).toBe(0);
  });

  test('a cycle of nothing but held usage has no invoice until there is a price', async () => {
    await record(llm({ input: 2_000_000 }, { model: 'acme/new' }));
    expect(await close('llm')).toMatchObject({ invoice: undefined, held: [{ model: 'acme/new' }] });
    terms = { ...terms, models: card({ 'acme/*': { input: '1', output: '1' } }) };
    expect((await close('llm')).invoice?.total).toBe('2.00');
  });

  test('late and corrected usage is an adjustment on the next one, once, and the old one stays as it was', async () => {
    const [event] = await record({ type: 'reserved', limits: [billed(5_000)] });
    const { invoice } = await close('acme');
    const before = (await readInvoice(invoice?.id ?? '', sql))?.document;
    clock.set(at('10-20'));
    await record(
      { type: 'settled', decision_id: event?.decision_id as string, limits: [billed(-2_000)] },
      { limits: [billed(300)] },
      { limits: [billed(10_000)], decided_at: at('10-10') },
    );
    clock.set(at('11-02'));
    const next = await close('acme', OCTOBER);
    expect(next.invoice?.lines).toMatchObject([
      { quantity: '10000', amount: '1.00' },
      { quantity: '-1700', amount: '-0.17', adjustment: true, cycle: { start: '2026-09-01T00:00:00.000Z' } },
    ]);
    expect(next.invoice?.total).toBe('0.83');
    const late = await lineEventsOf(next.invoice?.id, 2);
    expect(late.data).toHaveLength(2);
    expect((await readInvoice(invoice?.id ?? '', sql))?.document).toBe(before);
    await record({ limits: [billed(1)], decided_at: at('11-10') });
    clock.set(at('12-02'));
    expect((await close('acme', NOVEMBER)).invoice?.lines).toHaveLength(1);
  });

  test('closed again, and by many at once: one invoice, the same bytes', async () => {
    await record(...Array.from({ length: 50 }, () => ({})));
    const closed = await Promise.all(Array.from({ length: 8 }, () => close('acme')));
    expect(new Set(closed.map(({ invoice }) => JSON.stringify(invoice))).size).toBe(1);
    expect(closed.filter(({ already }) => !already)).toHaveLength(1);
    expect(await rows('invoices')).toBe(1);
    const kept = (await readInvoice(closed[0]?.invoice?.id ?? '', sql))?.document;
    expect(kept).toBe(JSON.stringify(closed[0]?.invoice));
  });

  test('numbers have no hole, however many are closed at once', async () => {
    const tenants = Array.from({ length: 12 }, (_, index) => `tenant-${index}`);
    await record(...tenants.map((tenant_id) => ({ tenant_id })));
    await Promise.all(tenants.map((tenant) => close(tenant)));
    const { data } = await listInvoices({ limit: 100 }, sql);
    expect(data.map(({ number }) => number).sort()).toEqual(
      Array.from({ length: 12 }, (_, index) => `INV-${String(index + 1).padStart(6, '0')}`),
    );
  });

  test('usage that comes in while a cycle is closed is on its invoice or on the next, never on both or none', async () => {
    await record(...Array.from({ length: 100 }, () => ({})));
    const recording = (async () => {
      for (let index = 0; index < 20; index++) await record({}, {});
    })();
    await close('acme');
    await recording;
    clock.set(at('11-02'));
    await record({ decided_at: at('10-10') });
    await close('acme', OCTOBER);
    const [sum] = await sql`select sum(quantity)::int as tokens from invoice_lines`;
    expect(sum?.tokens).toBe(141);
    expect(await rows('billed_events')).toBe(141);
  });

  test('a fee is owed without usage too, from the first usage on', async () => {
    await record({ tenant_id: 'fee', limits: [billed(700)] }, { tenant_id: 'acme' });
    const september = (await close('fee')).invoice;
    expect(september?.lines).toMatchObject([
      { kind: 'base_fee', amount: '20.00' },
      { quantity: '600', amount: '6.00' },
    ]);
    const due = await dueCycles({ endedBy: NOVEMBER.end }, terms, sql);
    expect(due.map(({ cycle, tenantId }) => [tenantId, new Date(cycle.start).toISOString().slice(0, 7)])).toEqual([
      ['acme', '2026-09'],
      ['fee', '2026-10'],
      ['fee', '2026-11'],
    ]);
    expect((await close('fee', OCTOBER)).invoice?.lines).toMatchObject([
      { kind: 'base_fee' },
      { kind: 'minimum', amount: '5.00' },
    ]);
  });

  test('a preview is what closing would make, and writes nothing', async () => {
    await record({ limits: [billed(123_456)] });
    const preview = await previewCycle('acme', SEPTEMBER, deps);
    expect(await rows('invoices')).toBe(0);
    expect(preview.total).toBe('12.35');
    expect((await close('acme')).invoice?.total).toBe(preview.total);
  });

  describe('a finalised invoice', () => {
    test('is not changed in the database either', async () => {
      await record({});
      await close('acme');
      for (const table of ['invoices', 'invoice_lines', 'billed_events', 'invoice_states']) {
        const column = table === 'billed_events' ? 'event_id' : table === 'invoices' ? 'tenant_id' : 'invoice_id';
        for (const change of [
          `update ${table} set ${column} = 'x'`,
          `delete from ${table}`,
          `truncate ${table} cascade`,
        ]) {
          await expect(sql.unsafe(change), change).rejects.toThrow(/never changed/);
        }
      }
      await expect(sql`insert into billed_events select * from billed_events`).rejects.toThrow(/duplicate key/);
    });

    test('is paid or void, in that order, and each step is kept', async () => {
      await record({});
      const id = (await close('acme')).invoice?.id ?? '';
      const change = (state: 'paid' | 'void') =>
        changeState(id, { state, at: clock.now(), by: 'test', reference: 'pi_1' }, sql);
      expect(await change('paid')).toEqual({ state: 'paid' });
      expect(await change('paid')).toEqual({ state: 'paid' });
      expect(await change('void')).toEqual({ state: 'void' });
      expect(await change('paid')).toEqual({ state: 'void', refused: true });
      expect(await changeState('unknown', { state: 'paid', at: 0, by: 'test' }, sql)).toBeUndefined();
      expect((await listInvoices({ limit: 1, state: 'void' }, sql)).data).toMatchObject([{ id, state: 'void' }]);
      expect(await rows('invoice_states')).toBe(3);
    });

    test('is credited in part, and never more than it was for, also by many at once', async () => {
      await record({ limits: [billed(100_000)] });
      const id = (await close('acme')).invoice?.id ?? '';
      const credit = (amount?: string) =>
        issueCreditNote({ invoiceId: id, amount, reason: 'an outage', by: 'test' }, deps);
      expect(await credit('2.50')).toMatchObject({
        number: 'INV-000002',
        kind: 'credit_note',
        credits: id,
        reason: 'an outage',
        total: '-2.50',
        lines: [{ kind: 'credit', description: 'Credit for INV-000001: an outage', amount: '-2.50' }],
      });
      for (const wrong of ['7.51', '0', '1.001']) await expect(credit(wrong)).rejects.toThrow(CreditRefused);
      const many = await Promise.allSettled(Array.from({ length: 6 }, () => credit('5.00')));
      expect(many.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
      expect(await credit()).toMatchObject({ total: '-2.50' });
      await expect(credit()).rejects.toThrow('0.00');
      expect(
        await issueCreditNote({ invoiceId: 'unknown', amount: '1', reason: 'x', by: 'test' }, deps),
      ).toBeUndefined();
    });
  });
});
