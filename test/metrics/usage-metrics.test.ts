import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { Calendar } from '../../billing-worker/ledger/calendar.ts';
import { Ledger } from '../../billing-worker/ledger/ledger.ts';
import { ledgerRow } from '../../billing-worker/ledger/ledger-row.ts';
import { UsageTotals } from '../../billing-worker/metrics/usage-totals.ts';
import { BillingMetrics } from '../../billing-worker/metrics.ts';
import { modelsSchema } from '../../schemas/config/models.ts';
import { SOME_DATABASES } from '../billing/databases.ts';
import { billed, streamEntry, usageEvent } from '../billing/events.ts';
import { tenants } from '../billing/tenants.ts';
import { TestClock } from '../helpers/clock.ts';

const models = modelsSchema.parse({
  models: {
    sonnet: { input: '3.00', output: '15.00' },
    thinker: { input: '1.00', output: '2.00', reasoning: '10.00' },
  },
});
const terms = { tenants, calendar: new Calendar() };
const NOON = Date.parse('2026-01-15T12:00:00Z');

const totals = (maxSets = 1_000) => {
  const registry = new Registry();
  const usage = new UsageTotals(registry, { maxSets, models: () => models });
  const add = (over: Parameters<typeof usageEvent>[0]) => usage.add(ledgerRow(usageEvent(over), '1-0', terms));
  /** Of the second scrape: the first one shows what is new as 0. */
  const told = async () => {
    await registry.metrics();
    return registry.metrics();
  };
  return { registry, add, told };
};

test('tokens, spend, requests and latency of a tenant’s user and model', async () => {
  const { add, told } = totals();
  const common = { tenant_id: 'acme', user_id: 'alice', model: 'sonnet', decided_at: NOON };
  add({ ...common, type: 'reserved', limits: [billed(105)] });
  add({
    ...common,
    type: 'settled',
    at: NOON + 1_500,
    limits: [billed(-5)],
    usage: { input: 1_000, output: 200, cache_read: 10, cache_write: 5, reasoning: 50 },
  });
  add({ ...common, type: 'denied', count: 7, limits: [], outcome: { granted: false, reason: 'rate_limited' } });
  const text = await told();
  const labels = 'tenant="acme",end_user="alice",model="sonnet"';
  expect(text).toContain(`openclaw_requests_total{${labels},status="allowed"} 1\n`);
  expect(text).toContain(`openclaw_requests_total{${labels},status="denied"} 7\n`);
  expect(text).toContain(`openclaw_llm_tokens_total{${labels},type="input"} 1000\n`);
  expect(text).toContain(`openclaw_llm_tokens_total{${labels},type="cache_write"} 5\n`);
  // (1,015 × 3 + 200 × 15) / 1,000,000
  expect(text).toMatch(new RegExp(`openclaw_spend_usd_total\\{${labels}\\} 0\\.006045`));
  expect(text).toContain(`openclaw_bucket_tokens_charged_total{${labels}} 105\n`);
  expect(text).toContain(`openclaw_bucket_tokens_returned_total{${labels}} 5\n`);
  expect(text).toContain(`openclaw_bucket_charged_usd_total{${labels}} 0.0105\n`);
  expect(text).toContain('openclaw_llm_latency_seconds_bucket{model="sonnet",le="1"} 0\n');
  expect(text).toContain('openclaw_llm_latency_seconds_bucket{model="sonnet",le="2"} 1\n');
});

test('reasoning has its own price where it has one; what has no price adds nothing', async () => {
  const { add, told } = totals();
  const usage = { input: 1_000, output: 300, reasoning: 100 };
  add({ type: 'settled', user_id: 'u', model: 'thinker', usage });
  add({ type: 'settled', user_id: 'u', model: 'nobody-knows', usage });
  const text = await told();
  // (1,000 × 1 + 200 × 2 + 100 × 10) / 1,000,000
  expect(text).toMatch(/openclaw_spend_usd_total\{[^}]*model="thinker"\} 0\.0024\n/);
  expect(text).not.toMatch(/openclaw_spend_usd_total\{[^}]*nobody-knows/);
});

test('a series begins with 0, so that its beginning is an increase too', async () => {
  const { add, registry } = totals();
  add({ user_id: 'alice', model: 'sonnet' });
  expect(await registry.metrics()).toMatch(/openclaw_requests_total\{.*alice.*\} 0\n/);
  add({ user_id: 'alice', model: 'sonnet' });
  expect(await registry.metrics()).toMatch(/openclaw_requests_total\{.*alice.*\} 2\n/);
});

test('10,000 tenants with 20 models each: less than 2 MB, and no number is lost', async () => {
  const { add, registry } = totals();
  for (let tenant = 0; tenant < 10_000; tenant++) {
    for (let model = 0; model < 20; model++) {
      const common = {
        tenant_id: `tenant-with-a-name-${tenant}`,
        user_id: `somebody@${tenant}.example`,
        model: `provider/model-${model}`,
      };
      add({ ...common, type: 'reserved', limits: [billed(100)] });
      add({
        ...common,
        type: 'settled',
        limits: [billed(-1)],
        usage: { input: 10, output: 10, cache_read: 1, cache_write: 1 },
      });
    }
    add({ tenant_id: `tenant-with-a-name-${tenant}`, type: 'denied', count: 3, limits: [] });
  }
  await registry.metrics();
  const began = performance.now();
  const text = await registry.metrics();
  const took = performance.now() - began;
  console.log(`/metrics of 10,000 tenants × 20 models: ${(text.length / 1e6).toFixed(2)} MB in ${took.toFixed(0)} ms`);
  expect(Buffer.byteLength(text)).toBeLessThan(2_000_000);
  expect(Buffer.byteLength(text)).toBeGreaterThan(500_000);
  const sum = (pattern: RegExp) => [...text.matchAll(pattern)].reduce((all, [, value]) => all + Number(value), 0);
  expect(sum(/^openclaw_requests_total\{.*allowed"\} (\S+)$/gm)).toBe(200_000);
  expect(sum(/^openclaw_requests_total\{.*denied"\} (\S+)$/gm)).toBe(30_000);
  expect(sum(/^openclaw_llm_tokens_total\{.*type="output"\} (\S+)$/gm)).toBe(2_000_000);
  expect(sum(/^openclaw_bucket_tokens_charged_total\{.*\} (\S+)$/gm)).toBe(20_000_000);
  expect(text).toContain('openclaw_metrics_label_sets 1000\n');
}, 60_000);

test('the longest names there may be: still less than 2 MB', async () => {
  const { add, told } = totals();
  const name = (what: string, n: number) => `${what}-${n}-`.padEnd(256, 'x"');
  for (let n = 0; n < 3_000; n++) {
    const common = { tenant_id: name('t', n), user_id: name('u', n), model: name('m', n % 300) };
    add({ ...common, type: 'reserved', limits: [billed(100)] });
    add({
      ...common,
      type: 'settled',
      limits: [billed(-1)],
      usage: { input: 10, output: 10, cache_read: 1, cache_write: 1 },
    });
    add({ ...common, type: 'denied', limits: [] });
  }
  expect(Buffer.byteLength(await told())).toBeLessThan(2_000_000);
});

test.each(SOME_DATABASES)('an event that is delivered again is counted once ($name)', async ({ open }) => {
  const { sql } = await open();
  const registry = new Registry();
  const stream = { lag: async () => ({ entries: 0, oldestMs: 0 }) };
  const metrics = new BillingMetrics({ registry, stream, models: () => models, clock: new TestClock(NOON) });
  const given: number[] = [];
  const ledger = new Ledger({
    sql,
    terms,
    onCommit: (committed, rows) => {
      metrics.committed(committed);
      given.push(rows.length);
    },
  });
  const entries = Array.from({ length: 6 }, () => streamEntry(usageEvent({ user_id: 'alice', model: 'sonnet' })));
  const [first] = entries;
  if (!first) throw new Error('there are entries');
  await ledger.append(entries.slice(0, 3));
  await ledger.append(entries);
  await ledger.append(entries);
  await ledger.append([first, first, streamEntry(usageEvent({ user_id: 'alice', model: 'sonnet' }))]);
  const twice = streamEntry(usageEvent({ user_id: 'alice', model: 'sonnet' }));
  await ledger.append([twice, twice]);
  expect(given).toEqual([3, 6, 6, 3, 2]);
  await registry.metrics();
  expect(await registry.metrics()).toContain(
    'openclaw_requests_total{tenant="acme",end_user="alice",model="sonnet",status="allowed"} 8\n',
  );
});
