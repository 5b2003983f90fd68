import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { tenantsSchema } from '../../schemas/config/tenants.ts';
import { billingCycleOf, cycleAt } from '../cycles.ts';
import { planSpans } from './plan.ts';

const configOf = (plan: unknown, { defaults = {}, timezone = 'UTC' } = {}) =>
  tenantsSchema.parse({
    defaults: { capacity: 1, refill: 'daily', price_per_token: '0.1', billing_cycle: { period: 'month' }, ...defaults },
    plans: { basic: {}, pro: { base_fee: '49.00' } },
    tenants: { acme: { ...(plan !== undefined && { plan }), billing_cycle: { period: 'month', timezone } }, bare: {} },
  });

const spansOf = (config: ReturnType<typeof configOf>, instant: string, tenantId = 'acme') => {
  const cycle = cycleAt(Date.parse(instant), billingCycleOf(config, tenantId));
  return planSpans(config, tenantId, cycle).map(({ from, index, name, plan, to }) => ({
    index,
    name,
    fee: plan.base_fee,
    from: new Date(from).toISOString(),
    to: new Date(to).toISOString(),
  }));
};

describe('the plans of a cycle', () => {
  test('are one without fee or name where the tenant has none', () => {
    const config = configOf(undefined);
    for (const tenant of ['acme', 'bare', 'unknown', '__proto__', 'constructor']) {
      const cycle = cycleAt(Date.parse('2026-10-15T00:00:00Z'), billingCycleOf(config, tenant));
      const plan = { currency: 'USD', rate_card: false };
      expect(planSpans(config, tenant, cycle)).toEqual([
        { index: 0, name: undefined, from: cycle.start, to: cycle.end, plan },
      ]);
    }
  });

  test('are the one that the tenant or the defaults name', () => {
    const whole = { index: 0, from: '2026-10-01T00:00:00.000Z', to: '2026-11-01T00:00:00.000Z' };
    expect(spansOf(configOf('pro'), '2026-10-15T00:00:00Z')).toEqual([{ ...whole, name: 'pro', fee: '49.00' }]);
    const config = configOf('pro', { defaults: { plan: 'basic' } });
    expect(spansOf(config, '2026-10-15T00:00:00Z', 'unknown')).toMatchObject([{ ...whole, name: 'basic' }]);
    expect(spansOf(config, '2026-10-15T00:00:00Z')).toMatchObject([{ ...whole, name: 'pro' }]);
  });

  test('change in its middle, and not where one begins with the cycle', () => {
    const config = configOf([
      { name: 'basic' },
      { name: 'pro', from: '2026-10-12T06:00:00Z' },
      { name: 'basic', from: '2026-11-01' },
    ]);
    expect(spansOf(config, '2026-09-15T00:00:00Z')).toMatchObject([{ index: 0, name: 'basic' }]);
    expect(spansOf(config, '2026-10-15T00:00:00Z')).toMatchObject([
      { index: 0, name: 'basic', from: '2026-10-01T00:00:00.000Z', to: '2026-10-12T06:00:00.000Z' },
      { index: 1, name: 'pro', from: '2026-10-12T06:00:00.000Z', to: '2026-11-01T00:00:00.000Z' },
    ]);
    expect(spansOf(config, '2026-11-15T00:00:00Z')).toMatchObject([
      { index: 0, name: 'basic', from: '2026-11-01T00:00:00.000Z', to: '2026-12-01T00:00:00.000Z' },
    ]);
  });

  test('change at the midnight of the billing cycle where the file says a date', () => {
    const config = configOf([{ name: 'basic' }, { name: 'pro', from: '2026-11-01' }], { timezone: 'Europe/Berlin' });
    expect(spansOf(config, '2026-10-15T00:00:00Z')).toMatchObject([{ name: 'basic', to: '2026-10-31T23:00:00.000Z' }]);
    expect(spansOf(config, '2026-11-15T00:00:00Z')).toMatchObject([{ name: 'pro', from: '2026-10-31T23:00:00.000Z' }]);
  });
});

test('the plans of any tenant tile each of its cycles, and the one that holds is the last that has begun', () => {
  const start = Date.parse('2026-01-01T00:00:00Z');
  const instants = fc.uniqueArray(fc.integer({ min: start, max: start + 120 * 86_400_000 }), { maxLength: 6 });
  const zone = fc.constantFrom('UTC', 'Europe/Berlin', 'Asia/Kathmandu', 'America/Havana');
  fc.assert(
    fc.property(instants, zone, fc.boolean(), (found, timezone, asDates) => {
      const texts = found
        .toSorted((a, b) => a - b)
        .map((instant) => new Date(instant).toISOString().slice(0, asDates ? 10 : undefined));
      const changes = [...new Set(texts)].map((from, i) => ({ name: i % 2 ? 'basic' : 'pro', from }));
      const config = configOf([{ name: 'basic' }, ...changes], { timezone });
      for (const month of ['01', '02', '03', '04', '05']) {
        const cycle = cycleAt(Date.parse(`2026-${month}-15T00:00:00Z`), billingCycleOf(config, 'acme'));
        const spans = planSpans(config, 'acme', cycle);
        expect(spans.map(({ index }) => index)).toEqual(spans.map((_, i) => i));
        expect([spans[0]?.from, ...spans.map(({ to }) => to)]).toEqual([...spans.map(({ from }) => from), cycle.end]);
        expect(spans[0]?.from).toBe(cycle.start);
        if (asDates) continue;
        for (const { from, name } of spans) {
          expect(name).toBe(changes.findLast((change) => Date.parse(change.from) <= from)?.name ?? 'basic');
        }
      }
    }),
    { numRuns: 150 },
  );
});
