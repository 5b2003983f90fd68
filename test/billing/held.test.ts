import type { Sql } from 'postgres';
import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { heldUsage } from '../../billing-worker/held/held-usage.ts';
import { HeldWatch } from '../../billing-worker/held/watch.ts';
import { closeCycle } from '../../billing-worker/invoices/close-cycle.ts';
import type { Terms } from '../../billing-worker/invoices/scope.ts';
import { Calendar } from '../../billing-worker/ledger/calendar.ts';
import { Ledger } from '../../billing-worker/ledger/ledger.ts';
import type { Log } from '../../runtime/log.ts';
import { modelsSchema } from '../../schemas/config/models.ts';
import { tenantsSchema } from '../../schemas/config/tenants.ts';
import type { UsageEvent } from '../../schemas/usage-event.ts';
import { TestClock } from '../helpers/clock.ts';
import { SOME_DATABASES } from './databases.ts';
import { billed, streamEntry, usageEvent } from './events.ts';

const SEPTEMBER = { start: Date.parse('2026-09-01T00:00:00Z'), end: Date.parse('2026-10-01T00:00:00Z') };
const tenants = tenantsSchema.parse({
  defaults: { capacity: 10_000, refill: 'daily', price_per_token: '0.0001', billing_cycle: { period: 'month' } },
  plans: { card: { rate_card: true } },
  tenants: { llm: { plan: 'card' }, later: { plan: [{ name: 'card' }] }, bucket: {} },
});
const card = (models: object) => modelsSchema.parse({ models });
const SONNET = { sonnet: { input: '3', output: '15' } };
const FROM_TENTH = { new: { prices: [{ effective_from: '2026-10-10', input: '1', output: '1' }] } };

test.each(SOME_DATABASES)(
  'held usage of closed and of running cycles is told by tenant and model, until it has a price: $name',
  async ({ open }) => {
    const { sql } = await open();
    const clock = new TestClock(Date.parse('2026-10-20T12:00:00Z'));
    let terms: Terms = { tenants, models: card(SONNET) };
    await record(
      sql,
      { decided_at: Date.parse('2026-09-20T00:00:00Z'), usage: { input: 100 }, model: 'new' },
      { decided_at: Date.parse('2026-09-21T00:00:00Z'), usage: { input: 5 }, model: 'sonnet' },
      { decided_at: Date.parse('2026-10-05T00:00:00Z'), usage: { input: 20, output: 3 }, model: 'new' },
      { decided_at: Date.parse('2026-10-15T00:00:00Z'), usage: { cache_read: 7 }, model: 'new' },
      { decided_at: Date.parse('2026-10-05T00:00:00Z'), usage: { input: 9 }, model: 'new', tenant_id: 'bucket' },
      { decided_at: Date.parse('2026-10-06T00:00:00Z'), usage: { input: 11 }, model: 'other', tenant_id: 'later' },
    );
    await closeCycle('llm', SEPTEMBER, 'test', { sql, terms: () => terms, issuer: 'INV', clock });
    const of = (tenant?: string) => heldUsage(tenant, terms, sql);
    const ofNew = {
      tenant_id: 'llm',
      model: 'new',
      waits_for: 'price',
      events: 3,
      tokens: '130',
      first: '2026-09-20T00:00:00.000Z',
      last: '2026-10-15T00:00:00.000Z',
    };
    expect(await of()).toEqual([expect.objectContaining({ tenant_id: 'later', model: 'other', tokens: '11' }), ofNew]);
    expect(await of('llm')).toEqual([ofNew]);

    const registry = new Registry();
    const logged: string[] = [];
    const log = { error: ({ model }: { model: string }) => logged.push(model) } as unknown as Log;
    const watch = new HeldWatch({ sql, terms: () => terms, registry, clock, log });
    const metric = async () => {
      await watch.look();
      return /^openclaw_billing_held_events (\S+)$/m.exec(await registry.metrics())?.[1];
    };
    // One of the closed cycle, and of the open ones the requests: a settled event is none.
    expect(await metric()).toBe('4');
    expect(await metric()).toBe('4');
    expect(logged).toEqual(['new', 'other']);

    // A price from the tenth of October on: what was before waits still.
    terms = { ...terms, models: card({ ...SONNET, ...FROM_TENTH, other: { input: '1', output: '1' } }) };
    expect(await of()).toEqual([{ ...ofNew, events: 2, tokens: '123', last: '2026-10-05T00:00:00.000Z' }]);
    await metric();
    terms = {
      ...terms,
      models: card({ ...SONNET, new: { input: '1', output: '1' }, other: { input: '1', output: '1' } }),
    };
    // What is held of a closed cycle is billed on the next invoice.
    expect(await of()).toEqual([
      { ...ofNew, waits_for: 'invoice', events: 1, tokens: '100', last: '2026-09-20T00:00:00.000Z' },
    ]);
    await metric();
    terms = { ...terms, models: card(SONNET) };
    await metric();
    expect(logged).toEqual(['new', 'other', 'new', 'other']);
  },
);

async function record(sql: Sql, ...events: Partial<UsageEvent>[]) {
  const ledger = new Ledger({ sql, terms: { tenants, calendar: new Calendar() }, onCommit: () => {} });
  const whole = events.flatMap((event): UsageEvent[] => {
    const made = usageEvent({
      tenant_id: 'llm',
      ...event,
      type: 'settled',
      limits: [billed(0)],
      at: event.decided_at ?? 0,
    });
    const { usage: _, ...reserved } = made;
    return [{ ...reserved, id: `${made.decision_id}:reserved`, type: 'reserved' }, made];
  });
  await ledger.append(whole.map(streamEntry));
}
