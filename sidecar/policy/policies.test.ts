import { pino } from 'pino';
import { afterEach, expect, test } from 'vitest';
import { compiled } from '../../runtime/package-root.ts';
import { shippedBundle } from '../../test/helpers/bundles.ts';
import { TestClock } from '../../test/helpers/clock.ts';
import { eventually } from '../../test/helpers/eventually.ts';
import { BundleReport } from './bundle-report.ts';
import { NoPolicy, Policies } from './policies.ts';

let policies: Policies | undefined;

function open() {
  const log = pino({ level: 'silent' });
  const clock = new TestClock();
  const report = new BundleReport({ role: 'policy', name: 'b.tar.gz', source: 'file' }, { clock, log });
  const memoCounts = { hits: 0, misses: 0 };
  const config = { tenants: { unknown_tenants: 'deny', tenants: {}, defaults: {} }, models: { models: {} } };
  const threadFile = compiled('sidecar/policy/evaluation-thread.js');
  policies = new Policies({ config, timeoutMs: 1_000, threadFile, keys: [], memoCounts, report, log });
  return { policies, report, memoCounts, clock };
}

afterEach(() => policies?.close());

const PLAN: [string, string] = ['openclaw/rate_limit', '{"tenant_id":"acme"}'];

test('an answer stays with the policy that it got, also when that has been replaced and has gone to rest', async () => {
  const { memoCounts, policies } = open();
  expect(policies.current).toThrow(NoPolicy);
  await policies.activate(await shippedBundle('r1'));
  const first = policies.current();
  const plan = await first.plan(...PLAN);
  await policies.activate(await shippedBundle('r2'));
  expect(policies.current().revision).toBe('r2');
  expect(first.awake).toBe(true);
  await eventually(() => expect(first.awake).toBe(false));
  expect(await first.evaluate('openclaw/rate_limit/plan', PLAN[1])).toMatchObject({ ok: true });
  expect(first.awake).toBe(true);
  expect([policies.remembered, first.remembered]).toEqual([0, 1]);
  expect(await policies.current().plan(...PLAN)).toEqual(plan);
  expect(memoCounts).toEqual({ hits: 0, misses: 2 });
});

test('what fails leaves everything as it was, and is told until something is sound', async () => {
  const { clock, policies, report } = open();
  await policies.activate(await shippedBundle('r1'));
  clock.advance(1_000);
  const failure = await policies.activate(Buffer.from('broken')).catch((error) => error);
  report.failed(failure);
  report.failed(failure);
  expect(policies.current().revision).toBe('r1');
  expect(policies.status()).toMatchObject({
    activeRevision: 'r1',
    lastSuccessfulActivation: clock.now() - 1_000,
    problem: {
      code: 'bundle_error',
      reason: 'archive',
      message: expect.stringMatching(/^b\.tar\.gz: not a whole gzip/),
    },
  });
  expect(report.failures.archive).toBe(2);
  report.sound();
  expect(policies.status().problem).toBeUndefined();
});

test('a kept bundle never takes the place of another', async () => {
  const { policies } = open();
  await Promise.all([
    policies.activate(await shippedBundle('new')),
    policies.activate(await shippedBundle('kept'), { kept: true }).catch(() => undefined),
  ]);
  const { revision } = policies.current();
  await policies.activate(await shippedBundle('older'), { kept: true });
  expect(policies.current().revision).toBe(revision);
  expect(revision).toBe('new');
});
