import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { planSchema } from '../../schemas/policy-io.ts';
import { NotAsked } from '../../sidecar/counters/breaker.ts';
import { CountersUnavailable } from '../../sidecar/counters/contract.ts';
import type { Answer } from '../../sidecar/decision/answer.ts';
import { measuredPhases } from '../../sidecar/metrics/phases.ts';
import { observeStore } from '../../sidecar/metrics/store-health.ts';
import { DecisionMetrics } from '../../sidecar/metrics.ts';
import { TestClock } from '../helpers/clock.ts';

const NOW = Date.parse('2026-01-15T12:00:00Z');
const HOUR = 3_600_000;

const limit = (type: string, id: string) => ({
  id: `${type}:${id}:tokens:day`,
  subject: { type, id },
  unit: 'tokens' as const,
  kind: 'window' as const,
  capacity: 100,
  cost: 1,
  window: { period: 'day' as const },
});

/** What is in use of each limit, in percent of its capacity. */
function answer(
  used: Record<string, number>,
  over: Partial<Answer> & { crossed?: number[]; resetAt?: number } = {},
): Answer {
  const limits = Object.keys(used).map((name) => limit(...(name.split(' ') as [string, string])));
  const { crossed = [], resetAt = NOW + HOUR, ...more } = over;
  return {
    decisionId: 'd',
    decision: { allow: true, reason: 'ok', status: 200, message: '', warnings: [], obligations: {} },
    plan: planSchema.parse({ limits }),
    outcome: {
      granted: true,
      candidate: null,
      closed: [],
      limits: limits.map(({ id }, n) => ({
        id,
        capacity: 100,
        used: Object.values(used)[n],
        crossed,
        reset_at: resetAt,
      })),
    } as unknown as NonNullable<Answer['outcome']>,
    replayed: false,
    policyRevision: 'r',
    at: NOW,
    ...more,
  };
}

const refused = (reason: 'rate_limited' | 'policy_error', status: number): Answer['decision'] => ({
  ...answer({}).decision,
  allow: false,
  reason,
  status,
});

function metrics() {
  const registry = new Registry();
  const clock = new TestClock(NOW);
  const decisions = new DecisionMetrics(registry, clock);
  const observe = (given: Answer | 'conflict', tenant = 'acme') => decisions.note('a/b', 0, given, tenant);
  return { registry, clock, decisions, observe };
}

test('decisions by reason, those that were throttled, and zeros of what a first time would hide', async () => {
  const { observe, registry } = metrics();
  observe(answer({}));
  observe(answer({}, { decision: refused('rate_limited', 429) }));
  observe(answer({}, { decision: refused('rate_limited', 403) }));
  observe('conflict');
  observe(answer({}, { degraded: true }));
  const text = await registry.metrics();
  expect(text).toContain('openclaw_decisions_total{package="a/b",allow="true",reason="ok"} 2\n');
  expect(text).toContain('openclaw_decisions_total{package="a/b",allow="false",reason="rate_limited"} 2\n');
  expect(text).toContain('openclaw_decisions_total{package="a/b",allow="false",reason="conflict"} 1\n');
  expect(text).toContain('openclaw_decisions_total{package="a/b",allow="false",reason="policy_error"} 0\n');
  expect(text).toContain('openclaw_throttled_decisions_total 1\n');
  expect(text).toContain('openclaw_degraded_decisions_total{package="a/b",allow="true"} 1\n');
  expect(text).toContain('openclaw_decision_duration_seconds_count{package="a/b"} 5\n');
});

test('limits of teams are shown as they were last seen, until they are empty again; those of users are not', async () => {
  const { clock, observe, registry } = metrics();
  observe(answer({ 'user alice': 99, 'team data': 50, 'department it': 10 }));
  observe(answer({ 'team data': 85 }));
  const labels = 'tenant="acme",subject_type="team",subject="data",limit="team:data:tokens:day"';
  const text = await registry.metrics();
  expect(text).toContain(`openclaw_limit_used_ratio{${labels}} 0.85\n`);
  expect(text).toContain('subject="it",limit="department:it:tokens:day"} 0.1\n');
  expect(text).not.toContain('alice');
  clock.advance(HOUR);
  expect(await registry.metrics()).not.toContain('openclaw_limit_used_ratio{');
});

test('no more than 500 limits are shown, whatever comes', async () => {
  const { observe, registry } = metrics();
  for (let n = 0; n < 600; n++) observe(answer({ [`team t${n}`]: 1 }), `tenant-${n}`);
  expect((await registry.metrics()).match(/^openclaw_limit_used_ratio\{/gm)).toHaveLength(500);
});

test('a threshold is counted when it is crossed, and not when the answer is given again', async () => {
  const { decisions, observe, registry } = metrics();
  observe(answer({ 'user alice': 80 }, { crossed: [75] }));
  observe(answer({ 'user alice': 80 }, { crossed: [75], replayed: true }));
  expect(await registry.metrics()).toContain('openclaw_thresholds_crossed_total{subject_type="user",percent="75"} 0\n');
  decisions.limits.crossed('user:bob:tokens:day', [75, 90]);
  decisions.limits.crossed('something else', [50]);
  await registry.metrics();
  const text = await registry.metrics();
  expect(text).toContain('openclaw_thresholds_crossed_total{subject_type="user",percent="75"} 2\n');
  expect(text).toContain('openclaw_thresholds_crossed_total{subject_type="user",percent="90"} 1\n');
  expect(text).toContain('openclaw_thresholds_crossed_total{subject_type="other",percent="50"} 1\n');
});

test('a phase says how many are in it and how long it takes, also of what fails', async () => {
  const registry = new Registry();
  const clock = new TestClock(NOW);
  const spans: unknown[] = [];
  const { take } = measuredPhases(registry, clock, { phase: (...given) => spans.push(given) });
  const begun = take.begin();
  take.begin();
  expect(await registry.metrics()).toContain('openclaw_phase_in_progress{phase="take"} 2\n');
  clock.advance(20);
  take.end(begun);
  const text = await registry.metrics();
  expect(text).toContain('openclaw_phase_in_progress{phase="take"} 1\n');
  expect(text).toContain('openclaw_phase_duration_seconds_bucket{phase="take",le="0.01"} 0\n');
  expect(text).toContain('openclaw_phase_duration_seconds_bucket{phase="take",le="0.025"} 1\n');
  expect(text).toContain('openclaw_phase_duration_seconds_count{phase="plan"} 0\n');
  expect(spans).toEqual([['take', begun, begun + 20]]);
});

test.for([
  ['there', undefined, 1, 0],
  ['away', new CountersUnavailable('no answer'), 0, 0],
  ['known to be away', new NotAsked('no answer (not asked again until it answers)'), 0, 1],
] as const)('the store is %s', async ([, error, up, open]) => {
  const registry = new Registry();
  let asked = 0;
  observeStore(registry, {
    ping: async () => {
      asked += 1;
      if (error) throw error;
    },
  });
  const text = await registry.metrics();
  expect(text).toContain(`openclaw_store_up ${up}\n`);
  expect(text).toContain(`openclaw_store_breaker_open ${open}\n`);
  expect(asked).toBe(1);
});
