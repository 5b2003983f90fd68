import type { Sql } from 'postgres';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { closeCycle } from '../../billing-worker/invoices/close-cycle.ts';
import { Calendar } from '../../billing-worker/ledger/calendar.ts';
import { Ledger } from '../../billing-worker/ledger/ledger.ts';
import { type Reconciled, reconcile, type TenantDrift } from '../../billing-worker/reconcile/reconcile.ts';
import { repairRollups } from '../../billing-worker/reconcile/repair.ts';
import { modelsSchema } from '../../schemas/config/models.ts';
import { tenantsSchema } from '../../schemas/config/tenants.ts';
import type { UsageEvent } from '../../schemas/usage-event.ts';
import { TestClock } from '../helpers/clock.ts';
import { SOME_DATABASES } from './databases.ts';
import { billed, streamEntry, usageEvent } from './events.ts';

const SEPTEMBER = { start: Date.parse('2026-09-01T00:00:00Z'), end: Date.parse('2026-10-01T00:00:00Z') };
const at = (text: string) => Date.parse(`2026-${text}Z`);
const NOW = at('10-15T12:00:00');
const PERIOD = at('10-01T00:00:00');

const defaults = { capacity: 10_000, refill: 'daily', price_per_token: '0.0001', billing_cycle: { period: 'month' } };
const TERMS = {
  tenants: tenantsSchema.parse({
    defaults,
    plans: {
      card: { rate_card: true },
      tiered: {
        included_tokens: 100,
        tiers: [{ up_to: 200, price_per_token: '0.02' }, { price_per_token: '0.01' }],
      },
    },
    tenants: { llm: { plan: 'card' }, tiered: { plan: 'tiered' } },
  }),
  models: modelsSchema.parse({
    models: { sonnet: { input: '3.00', output: '15.00', reasoning: '20.00', aliases: ['sonnet-2'] } },
  }),
};

/** A counter as its events tell it: what each takes is what the next one finds. */
function counter(id: string, kind: 'window' | 'token_bucket' = 'window') {
  let used = 0;
  return (amount: number, refilled = 0): UsageEvent['limits'][number] => {
    const before = Math.max(0, used - refilled);
    used = before + amount;
    return { id, kind, unit: 'tokens', amount, before, after: used, period_start: PERIOD };
  };
}

describe.each(SOME_DATABASES)('on $name', ({ open }) => {
  let sql: Sql;
  const clock = new TestClock(NOW);
  const deps = () => ({ sql, terms: () => TERMS, clock });

  beforeAll(async () => {
    ({ sql } = await open());
  }, 120_000);

  const GUARDED = ['invoices', 'invoice_lines', 'billed_events', 'invoice_states', 'audit_events'];
  /** What the owner of the tables can do, and nobody else. */
  async function forced(statement: string) {
    for (const table of GUARDED) await sql.unsafe(`alter table ${table} disable trigger ${table}_refuse_change`);
    const changed = await sql.unsafe(statement);
    for (const table of GUARDED) await sql.unsafe(`alter table ${table} enable always trigger ${table}_refuse_change`);
    return changed.count;
  }

  beforeEach(async () => {
    await forced(`truncate usage_events, usage_rollups, held_events, invoice_numbers, ${GUARDED.join(', ')}`);
  });

  async function record(...events: Partial<UsageEvent>[]) {
    const ledger = new Ledger({
      sql,
      terms: { tenants: TERMS.tenants, calendar: new Calendar() },
      onCommit: () => {},
    });
    const whole = events.map((event) =>
      usageEvent({
        decided_at: at('09-15T12:00:00'),
        ...event,
        at: event.at ?? event.decided_at ?? at('09-15T12:00:00'),
      }),
    );
    await ledger.append(whole.map(streamEntry));
    await sql`update usage_events set recorded_at = decided_at`;
    return whole;
  }
  const llm = (usage: NonNullable<UsageEvent['usage']>, model = 'sonnet'): Partial<UsageEvent> => ({
    tenant_id: 'llm',
    type: 'settled',
    limits: [billed(0)],
    model,
    usage,
  });
  const close = (tenant: string) => closeCycle(tenant, SEPTEMBER, 'test', { ...deps(), issuer: 'INV' });
  const all = (query: { tenantId?: string; cycle?: typeof SEPTEMBER } = {}): Promise<Reconciled> =>
    reconcile({ limit: 100, ...query }, deps());
  const only = async (): Promise<TenantDrift> => {
    const { data } = await all();
    expect(data).toHaveLength(1);
    return data[0] as TenantDrift;
  };
  const nothingWrong = async () => expect(await all()).toMatchObject({ ok: true, data: [] });

  /** Usage of every kind, billed. */
  async function month() {
    const made = await record(
      { user_id: 'alice', team_id: 'search', model: 'sonnet', limits: [billed(100)] },
      { user_id: 'bob', limits: [billed(23)] },
      { type: 'denied', limits: [], count: 7 },
      { tenant_id: 'tiered', limits: [billed(150)] },
      { tenant_id: 'tiered', limits: [billed(250)] },
      llm({ input: 10, output: 50, cache_read: 5, cache_write: 6, reasoning: 20 }),
      llm({ input: 7 }, 'sonnet-2'),
      llm({ input: 9 }, 'unpriced'),
    );
    for (const tenant of ['acme', 'tiered', 'llm']) await close(tenant);
    return made;
  }

  test('what was recorded and billed as it should be agrees: rollups, lines with tiers and reasoning, held and late usage', async () => {
    await month();
    await record({ limits: [billed(5)], decided_at: at('09-20T00:00:00') });
    await sql`update usage_events set recorded_at = now() where tokens = 5`;
    expect(await all()).toEqual({ ok: true, checked: 3, data: [], next: null });
  });

  test('a rollup that was changed is found by its columns, with the decisions that it is made of', async () => {
    const [alice] = await month();
    await sql`update usage_rollups set tokens = tokens + 5, cost_usd = cost_usd + 1 where user_id = 'alice'`;
    expect(await only()).toMatchObject({
      tenant_id: 'acme',
      rollups: {
        found: 1,
        drifts: [
          {
            cycle: { start: '2026-09-01T00:00:00.000Z', end: '2026-10-01T00:00:00.000Z' },
            day: '2026-09-15',
            user_id: 'alice',
            team_id: 'search',
            model: 'sonnet',
            decisions: [alice?.decision_id],
          },
        ],
      },
      invoices: { found: 0 },
      counters: { found: 0 },
    });
    const { rollups } = await only();
    expect(rollups.drifts[0]?.sums).toEqual({
      tokens: { ledger: '100', rollups: '105' },
      cost_usd: { ledger: '0.010000000000', rollups: '1.010000000000' },
    });
  });

  test.each([
    ['one is lost', `delete from usage_rollups where user_id = 'alice'`, { changed: 0, added: 1, removed: 0 }],
    [
      'one is there that nothing was used for',
      `insert into usage_rollups select tenant_id, cycle_start, cycle_end, day, 'ghost', team_id, project_id, model, requests, denied,
         tokens, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens, cost_usd
       from usage_rollups where user_id = 'alice'`,
      { changed: 0, added: 0, removed: 1 },
    ],
    ['one is wrong', `update usage_rollups set denied = 0 where denied = 7`, { changed: 1, added: 0, removed: 0 }],
  ])('rollups of which %s are repaired on request, once, and the audit says so', async (_, damage, repaired) => {
    await month();
    await sql.unsafe(damage);
    expect((await only()).rollups.found).toBe(1);
    const repair = (dryRun: boolean) =>
      repairRollups(
        { tenantId: 'acme', cycleStart: '2026-09-01T00:00:00.000Z', dryRun, by: 'test', sourceIp: '192.0.2.1' },
        deps(),
      );
    expect(await repair(true)).toEqual(repaired);
    expect((await only()).rollups.found).toBe(1);
    expect(await repair(false)).toEqual(repaired);
    await nothingWrong();
    expect(await repair(false)).toEqual({ changed: 0, added: 0, removed: 0 });
    const audit =
      await sql`select actor, source_ip, tenant_id, target from audit_events where action = 'billing.repaired'`;
    expect(audit).toHaveLength(1);
    expect(audit[0]).toMatchObject({ actor: 'test', source_ip: '192.0.2.1', tenant_id: 'acme' });
    expect(audit[0]?.target).toContain('2026-09-01');
  });

  test('usage that comes in while rollups are repaired by two at once is neither lost nor counted twice', async () => {
    await month();
    await sql`update usage_rollups set tokens = tokens + 5 where tenant_id = 'acme'`;
    const recording = (async () => {
      for (let index = 0; index < 15; index++) {
        await record({ user_id: 'alice', team_id: 'search', model: 'sonnet', limits: [billed(1)] });
      }
    })();
    const repair = () =>
      repairRollups({ tenantId: 'acme', cycleStart: '2026-09-01T00:00:00.000Z', dryRun: false, by: 'test' }, deps());
    await Promise.all([repair(), repair(), recording]);
    for (const { rollups } of (await all()).data) expect(rollups.found).toBe(0);
    const [sum] = await sql`select sum(tokens)::int as tokens from usage_rollups where tenant_id = 'acme'`;
    expect(sum?.tokens).toBe(138);
  });

  test.each([
    [
      'a line of a model',
      `update invoice_lines set quantity = quantity + 1, exact_amount = (quantity + 1) * unit_price / per
       where token_type = 'output'`,
      { what: 'quantity', billed: '31', ledger: '30' },
    ],
    [
      'a line of bucket tokens, above those that are included',
      `update invoice_lines set quantity = 101, exact_amount = 101 * unit_price
       where description like '%tier 2%'`,
      { what: 'quantity', billed: '301', ledger: '300' },
    ],
    ['an amount', `update invoice_lines set amount = amount + 1 where token_type = 'input'`, { what: 'amount' }],
    ['a total', `update invoices set total = total + 1 where tenant_id = 'tiered'`, { what: 'amount', line: null }],
  ])('%s that is not what its events come to is found, with its decisions', async (_, damage, drift) => {
    await month();
    expect(await forced(damage)).toBe(1);
    const { invoices } = await only();
    expect(invoices.drifts[0]).toMatchObject({ invoice: expect.stringMatching(/^INV-00000/), ...drift });
    if (drift.what === 'quantity') expect(invoices.drifts[0]?.decisions.length).toBeGreaterThan(0);
  });

  test('an event of a closed cycle that no invoice has or will have is named', async () => {
    const [alice] = await month();
    await forced(`delete from billed_events where event_id = '${alice?.id}'`);
    const { invoices } = await only();
    expect(invoices.drifts).toContainEqual(
      expect.objectContaining({ what: 'unbilled', decisions: [alice?.decision_id] }),
    );
    expect(invoices.drifts).toContainEqual(expect.objectContaining({ what: 'quantity', billed: '123', ledger: '23' }));
  });

  test('an event that was billed and is no longer in the ledger is named', async () => {
    const [, bob] = await month();
    await sql`delete from usage_events where id = ${bob?.id ?? ''}`;
    const { invoices } = await only();
    expect(invoices.drifts).toContainEqual(expect.objectContaining({ what: 'astray', decisions: [bob?.id] }));
  });

  describe('a counter', () => {
    const decided = (minute: number) => at(`10-15T11:${String(minute).padStart(2, '0')}:00`);

    test('that every event of the ledger accounts for agrees; a bucket may have been refilled', async () => {
      const day = counter('user:alice:tokens:day');
      const bucket = counter('tenant', 'token_bucket');
      await record(
        ...[10, 20, -5, 7].map((amount, index) => ({
          decided_at: decided(index),
          limits: [day(amount), bucket(amount, 4)],
        })),
      );
      await nothingWrong();
    });

    test.each(['window', 'token_bucket'] as const)(
      'of kind %s that lacks an event is found, between its neighbours',
      async (kind) => {
        const day = counter('user:alice:tokens:day', kind);
        const made = [10, 20, 30, 40].map((amount, index) => ({
          decision_id: `d${index}`,
          decided_at: decided(index),
          limits: [day(amount)],
        }));
        await record(...made);
        await nothingWrong();
        await forced(`truncate usage_events, usage_rollups`);
        await record(...made.filter((_, index) => index !== 2));
        expect((await only()).counters).toMatchObject({
          found: 1,
          drifts: [{ limit: 'user:alice:tokens:day', kind, ledger: '30', counter: '60', decisions: ['d1', 'd3'] }],
        });
      },
    );

    test('that several tenants share has gaps in none', async () => {
      const shared = counter('provider:bedrock:tokens');
      await record(
        ...['acme', 'globex', 'acme', 'globex'].map((tenant_id, index) => ({
          tenant_id,
          decided_at: decided(index),
          limits: [shared(10)],
        })),
      );
      await nothingWrong();
    });
  });

  test('tenants come page by page, each once', async () => {
    const tenants = ['a', 'B', 'c', 'D', 'é'];
    await record(...tenants.map((tenant_id) => ({ tenant_id })));
    await sql`update usage_rollups set tokens = 0`;
    const seen: string[] = [];
    let after: string | undefined;
    for (;;) {
      const page = await reconcile({ limit: 2, after }, deps());
      seen.push(...page.data.map(({ tenant_id }) => tenant_id));
      if (page.next === null) break;
      after = page.next;
    }
    expect(seen.toSorted()).toEqual(tenants.toSorted());
  });
});
