import { describe, expect, test } from 'vitest';
import { MAX_AMOUNT } from '../../schemas/amounts.ts';
import type { Plan, Scope } from '../../schemas/policy-io.ts';
import { planSchema } from '../../schemas/policy-io.ts';
import type { ProviderOutcome, ProviderRules } from '../../sidecar/counters/provider-health.ts';
import { calendarWindow, limit, type Workbench } from './workbench.ts';

const MINUTE = 60_000;
const RULES: ProviderRules = {
  steps: [1, 5, 25, 60].map((minutes) => minutes * MINUTE),
  jitter_percent: 10,
  failures: 3,
  within: MINUTE,
  open: 30_000,
  most_open: 100_000,
  probe: 20_000,
};

interface Given {
  account?: string;
  on?: string[];
  limits?: ReturnType<typeof limit>[];
}

/** A model of an account, as a routing policy would have it. */
const candidate = (model: string, { account = 'anthropic', limits = [], on }: Given = {}) => ({
  model,
  limits,
  gates: [`cooldown:${model}`, `circuit:${model}`],
  scope: `shared:${account}` as Scope,
  ...(on && { on }),
});

const planOf = (list: ReturnType<typeof candidate>[], more: object = {}): Plan =>
  planSchema.parse({ candidates: list, raw_counters: true, ...more });

const own = (given: Parameters<typeof limit>[0] = {}) => limit({ id: 'own', ...given });
const shared = (account: string, given: Parameters<typeof limit>[0] = {}) =>
  limit({ id: 'provider', subject: { type: 'provider', id: account }, scope: `shared:${account}`, ...given });

export function describeProviders(bench: () => Workbench, { settableClock }: { settableClock: boolean }): void {
  const close = (gate: string, account = 'anthropic') =>
    bench().store.setGate({ tenantId: '', scope: `shared:${account}`, name: gate }, MAX_AMOUNT);
  const report = (given: Partial<ProviderOutcome> = {}, rules = RULES) =>
    bench().store.providerOutcome(
      { account: 'anthropic', model: 'a', result: 'rate_limit', decidedAt: MAX_AMOUNT, jitter: 500, ...given },
      rules,
    );
  const chosen = async (plan: Plan, given = {}) => (await bench().taken(plan, given)).outcome.candidate;
  const whyNot = async (plan: Plan, given = {}) =>
    (await bench().refused(plan, given)).closed.map(({ candidate: model, gate }) => `${model} ${gate}`);

  describe('C19 a candidate stands in for others only for the reasons that it names', () => {
    for (const [account, other] of [
      ['anthropic', 'anthropic'],
      ['anthropic', 'openai'],
    ] as const) {
      test(`a cooldown, and an open circuit: ${account === other ? 'one account' : 'two accounts'}`, async () => {
        const rateLimit = planOf([candidate('a'), candidate('b', { account: other, on: ['rate_limit'] })]);
        const timeout = planOf([candidate('a'), candidate('b', { account: other, on: ['timeout'] })]);
        await close('cooldown:a');
        expect(await chosen(rateLimit)).toBe('b');
        expect(await whyNot(timeout)).toEqual(['a cooldown:a', 'b on:rate_limit']);
        expect((await bench().peek(timeout)).closed.map(({ gate }) => gate)).toEqual(['cooldown:a', 'on:rate_limit']);
        await bench().store.setGate({ tenantId: '', scope: 'shared:anthropic', name: 'cooldown:a' }, undefined);
        await close('circuit:a');
        expect(await whyNot(rateLimit)).toEqual(['a circuit:a', 'b on:circuit']);
        expect(await chosen(timeout)).toBe('b');
      });

      test(`a shared limit, and one of the tenant’s: ${account === other ? 'one account' : 'two accounts'}`, async () => {
        const full = [shared('anthropic', { capacity: 0 }), own({ capacity: 0 })];
        const fallback = candidate('b', { account: other, on: ['rate_limit'], limits: [own({ id: 'own b' })] });
        expect(await chosen(planOf([candidate('a', { limits: full }), fallback]))).toBe('b');
        const poor = planOf([candidate('a', { limits: [shared('anthropic'), own({ capacity: 0 })] }), fallback]);
        expect(await whyNot(poor)).toEqual(['a budget:own', 'b on:budget']);
        const any = planOf([candidate('a', { limits: [own({ capacity: 0 })] }), candidate('b', { account: other })]);
        expect(await chosen(any)).toBe('b');
      });
    }

    test('each says when it is back', async () => {
      const [never, later] = [
        shared('anthropic', { capacity: 0 }),
        shared('anthropic', { refill: { amount: 1 }, capacity: 1 }),
      ];
      await bench().taken(later);
      const plan = planOf([candidate('a', { limits: [never] }), candidate('b', { limits: [later] })]);
      const { closed } = await bench().refused(plan);
      expect(closed).toMatchObject([
        { gate: 'limit:provider', candidate: 'a', until: MAX_AMOUNT },
        { gate: 'limit:provider', candidate: 'b' },
      ]);
      expect(closed[1]?.until).toBeLessThan(MAX_AMOUNT);
    });
  });

  describe('C19 the attempts of one run are counted', () => {
    const run = (id: string) => ({ event: { run_id: id } });
    const chain = (most: number) =>
      planOf(
        [
          candidate('a'),
          candidate('b', { account: 'openai', on: ['rate_limit'] }),
          candidate('c', { on: ['rate_limit'] }),
        ],
        {
          max_attempts: most,
          limits: [own({ capacity: 100, cost: 10, settles: true })],
        },
      );
    const fail = async (plan: Plan, id: string, failure: 'rate_limit' | 'authentication') => {
      const taken = await bench().taken(plan, run(id));
      await bench().void(taken.id, { failure });
      return taken.outcome.candidate;
    };

    test('a model that failed is not tried again in its run, and its estimate is given back', async () => {
      expect(await fail(chain(9), 'r', 'rate_limit')).toBe('a');
      expect(await fail(chain(9), 'r', 'rate_limit')).toBe('b');
      expect(await fail(chain(9), 'r', 'rate_limit')).toBe('c');
      expect(await whyNot(chain(9), run('r'))).toEqual([
        'a failed:rate_limit',
        'b failed:rate_limit',
        'c failed:rate_limit',
      ]);
      expect(await bench().used(own({ capacity: 100 }))).toBe(0);
      expect(await chosen(chain(9), run('another'))).toBe('a');
      expect(await chosen(chain(9), { event: { run_id: 'r', tenant_id: `${bench().tenant} other` } })).toBe('a');
    });

    test('what the chain does not name is the end of it', async () => {
      await fail(chain(9), 'r', 'authentication');
      expect(await whyNot(chain(9), run('r'))).toEqual([
        'a failed:authentication',
        'b on:authentication',
        'c on:authentication',
      ]);
    });

    test('no more than there may be, also when they come together', async () => {
      const results = await Promise.all(Array.from({ length: 12 }, () => bench().take(chain(3), run('r'))));
      expect(results.filter(({ kind }) => kind === 'taken')).toHaveLength(3);
      expect(await whyNot(chain(3), run('r'))).toEqual(['a attempts']);
      expect(await bench().used(own({ capacity: 100 }))).toBe(30);
      expect(await chosen(chain(4), run('r'))).toBe('a');
    });

    test('a repeated request is one attempt', async () => {
      for (const kind of ['taken', 'replayed', 'replayed']) {
        expect(await bench().take(chain(1), { ...run('r'), requestId: 'once' })).toMatchObject({ kind });
      }
    });
  });

  describe('C19 a report tells what it is of', () => {
    test('when it was decided, and for which model', async () => {
      const settles = { limits: [own({ settles: true })] };
      const routed = await bench().taken(planOf([candidate('a')], settles), { event: { model: 'asked' } });
      const decided = { at: routed.at, model: 'a' };
      expect(await bench().settle(routed.id, 1)).toMatchObject({ replayed: false, decided });
      expect(await bench().settle(routed.id, 1)).toMatchObject({ replayed: true, decided });
      const asked = await bench().taken(own({ settles: true }), { event: { model: 'asked "x"' } });
      expect(await bench().void(asked.id)).toMatchObject({ decided: { at: asked.at, model: 'asked "x"' } });
      const none = await bench().taken(own({ settles: true }));
      expect(await bench().void(none.id)).toMatchObject({ decided: { at: none.at, model: undefined } });
    });

    test('a limit of the prompt’s tokens is corrected by them alone', async () => {
      const of = (id: string, counts: 'input_tokens' | 'output_tokens') =>
        shared('anthropic', { id, counts, cost: 5, capacity: 100, settles: true });
      const [input, output] = [of('in', 'input_tokens'), of('out', 'output_tokens')];
      const taken = await bench().taken(
        planOf([candidate('a', { limits: [input, output, own({ cost: 1, settles: true, capacity: 100 })] })]),
      );
      await bench().settle(taken.id, 10, { actual: { tokens: 50, input_tokens: 30, output_tokens: 20 } });
      expect(await bench().used(input)).toBe(30);
      expect(await bench().used(output)).toBe(20);
      expect(await bench().used(own({ capacity: 100 }))).toBe(50);
    });
  });

  describe('C19 the provider’s own numbers correct ours', () => {
    test('upward, never down', async () => {
      const bucket = shared('anthropic', { capacity: 10, cost: 3 });
      await bench().taken(bucket);
      expect(await bench().store.raiseUsed(bucket, 9)).toBe(3);
      expect(await bench().store.raiseUsed(bucket, 4)).toBe(6);
      expect(await bench().used(bucket)).toBe(6);
      expect(await bench().store.raiseUsed(bucket, 0)).toBe(10);
      expect((await bench().take(bucket)).kind).toBe('refused');
    });

    test('of a window as well', async () => {
      const day = calendarWindow({ scope: 'shared:anthropic', capacity: 10 });
      await bench().taken(day);
      expect(await bench().store.raiseUsed(day, 2)).toBe(8);
      expect(await bench().used(day)).toBe(8);
    });
  });

  describe('C19 what came of calls to a provider', () => {
    test('is known of each model of an account, until it works again', async () => {
      expect((await bench().store.providerHealth('anthropic')).models).toEqual(new Map());
      const health = await report({ retryAfterMs: 30_000 });
      expect(health).toMatchObject({ limited: 1, limited_by: 'retry_after' });
      await report({ model: 'b', result: 'failed' });
      await report({ account: 'openai', model: 'a', result: 'quota', retryAfterMs: 1_000 });
      const { at, models } = await bench().store.providerHealth('anthropic');
      expect([...models.keys()].sort()).toEqual(['a', 'b']);
      expect(models.get('a')).toEqual(health);
      expect(models.get('b')).toMatchObject({ failures: 1 });
      expect(Math.abs((health.limited_until ?? 0) - 30_000 - at)).toBeLessThan(10_000);
      await report({ model: 'b', result: 'succeeded' });
      await report({ result: 'cleared', decidedAt: 0 });
      expect((await bench().store.providerHealth('anthropic')).models).toEqual(new Map());
      expect((await bench().store.providerHealth('openai')).models.get('a')).toMatchObject({ limited_by: 'quota' });
      expect(await chosen(planOf([candidate('a')]))).toBe('a');
    });

    test('another sidecar knows it too, and after a restart', async () => {
      await report({ retryAfterMs: 30_000 });
      await report({ model: 'b', result: 'failed' }, { ...RULES, failures: 1 });
      const store = await bench().another();
      try {
        const { models } = await store.providerHealth('anthropic');
        expect(models.get('a')).toMatchObject({ limited: 1 });
        expect(models.get('b')).toMatchObject({ opens: 1 });
        const plan = planOf([candidate('a'), candidate('b')]);
        const decisionId = bench().newId();
        const result = await store.take({ decisionId, plan, event: { tenant_id: 'x' }, fingerprint: '' });
        expect(result).toMatchObject({ kind: 'refused' });
      } finally {
        await store.close();
      }
    });

    if (!settableClock) return;
    const now = () => bench().clock.now();
    const openAt = async (model: string) => {
      const { closed } = await bench().peek(planOf([candidate(model)]));
      return closed[0] && closed[0].until - now();
    };

    test('a rate limit: the provider’s word, for that model alone', async () => {
      await report({ retryAfterMs: 30_000 });
      expect(await openAt('a')).toBe(30_000);
      expect(await openAt('b')).toBeUndefined();
      await bench().advance(30_000);
      expect(await openAt('a')).toBeUndefined();
    });

    test('without it 1, 5, 25, 60, 60 minutes within the jitter, and 1 again after a success', async () => {
      const waits: (number | undefined)[] = [];
      for (const jitter of [0, 1_000, 250, 500, 1_000]) {
        await report({ jitter, decidedAt: now() });
        waits.push(await openAt('a'));
        await bench().advance(60 * 1.1 * MINUTE);
      }
      expect(waits).toEqual([0.9, 5.5, 25 * 0.95, 60, 66].map((minutes) => minutes * MINUTE));
      await report({ result: 'succeeded', decidedAt: now() });
      await bench().advance(1);
      await report({ decidedAt: now() });
      expect(await openAt('a')).toBe(MINUTE);
    });

    test('many that were under way when it began are one, and a success of that time ends nothing', async () => {
      const decidedAt = now();
      await bench().advance(1_000);
      for (let i = 0; i < 10; i++) await report({ decidedAt });
      expect((await report({ decidedAt, retryAfterMs: 10_000 })).limited).toBe(1);
      expect(await openAt('a')).toBe(MINUTE);
      await report({ decidedAt, retryAfterMs: 2 * MINUTE });
      expect(await openAt('a')).toBe(2 * MINUTE);
      await report({ decidedAt, result: 'succeeded' });
      expect(await openAt('a')).toBe(2 * MINUTE);
    });

    test('failures in a row open the circuit; then one probe at a time, and a lost one ends by itself', async () => {
      for (let i = 0; i < 3; i++) {
        expect(await openAt('a')).toBeUndefined();
        await report({ result: 'failed', decidedAt: now() });
      }
      expect(await openAt('a')).toBe(30_000);
      await bench().advance(30_000);
      expect(await openAt('a')).toBeUndefined();
      const probes = async () => {
        const all = await Promise.all(Array.from({ length: 200 }, () => bench().take(planOf([candidate('a')]))));
        return all.filter(({ kind }) => kind === 'taken').length;
      };
      expect(await probes()).toBe(1);
      expect(await openAt('a')).toBe(20_000);
      await bench().advance(20_000);
      expect(await probes()).toBe(1);
      await bench().advance(1);
      await report({ result: 'succeeded', decidedAt: now() });
      expect(await probes()).toBe(200);
    });

    test('a probe that fails opens it for twice as long, up to the most', async () => {
      for (let i = 0; i < 3; i++) await report({ result: 'failed', decidedAt: now() });
      const waits: (number | undefined)[] = [];
      for (let i = 0; i < 3; i++) {
        await bench().advance(RULES.most_open);
        await report({ result: 'failed', decidedAt: now() });
        waits.push(await openAt('a'));
      }
      expect(waits).toEqual([60_000, 100_000, 100_000]);
    });

    test('failures that are far apart, or before a success, are none in a row', async () => {
      for (let i = 0; i < 5; i++) {
        await report({ result: 'failed', decidedAt: now() });
        await bench().advance(MINUTE + 1);
      }
      for (let i = 0; i < 5; i++) {
        await report({ result: 'failed', decidedAt: now() });
        await report({ result: 'succeeded', decidedAt: now() });
      }
      expect(await openAt('a')).toBeUndefined();
    });

    test('what a call was decided before the circuit opened says nothing of it', async () => {
      const before = now();
      await bench().advance(1_000);
      for (let i = 0; i < 4; i++) await report({ result: 'failed', decidedAt: before });
      await report({ result: 'succeeded', decidedAt: before });
      expect(await openAt('a')).toBe(30_000);
    });
  });
}
