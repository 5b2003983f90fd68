import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { compiled, packageRoot } from '../../runtime/package-root.ts';
import { type Plan, planSchema } from '../../schemas/policy-io.ts';
import { openPolicy } from '../workbench/open-policy.ts';
import { readBundle } from './bundle.ts';
import { Evaluator } from './evaluator.ts';
import { likelyOutcome, withOutcome } from './likely-outcome.ts';
import type { Policy } from './policy.ts';

const PKG = 'openclaw/rate_limit';
const BUNDLE = join(packageRoot, 'policies/dist/bundle.tar.gz');
const INPUT = '{"model":"anthropic/claude-sonnet-4-5","tenant_id":"acme","user_id":"eve"}';

const LIMIT = {
  id: 'a',
  subject: { type: 'tenant', id: 'acme' },
  unit: 'tokens',
  capacity: 10,
  cost: 1,
  kind: 'token_bucket',
  refill: { amount: 10, per_seconds: 60, mode: 'interval' },
} as const;

describe('what a plan is likely to come to', () => {
  test('is the same before and after its schema adds what it leaves out', () => {
    const written = { limits: [LIMIT, { ...LIMIT, id: 'b', on_exceed: 'flag' }] } as unknown as Plan;
    expect(likelyOutcome(written)).toEqual(likelyOutcome(planSchema.parse(written)));
    expect(likelyOutcome(written)?.limits).toEqual([
      { id: 'a', granted: true, over: false, crossed: [], on_exceed: 'deny' },
      { id: 'b', granted: true, over: false, crossed: [], on_exceed: 'flag' },
    ]);
  });

  test.each([
    ['is refused', { refuse: { reason: 'unknown_tenant', status: 403, message: '' }, limits: [] }],
    ['has something to choose from', { limits: [], candidates: [{ model: 'm' }] }],
    ['has its decision see numbers', { limits: [LIMIT], raw_counters: true }],
    ['has no limits', {}],
  ])('is not known of one that %s', (_, plan) => {
    expect(likelyOutcome(plan as Partial<Plan>)).toBeUndefined();
  });

  test('is put into the input of its plan', () => {
    expect(withOutcome('{}', '1')).toBe('{"outcome":1}');
    expect(withOutcome('{"a":1}', '1')).toBe('{"a":1,"outcome":1}');
  });
});

describe('a policy whose answers are remembered', () => {
  let policy: Policy | undefined;
  afterEach(() => policy?.close());

  test('has decided on it with the plan, and on nothing else', async () => {
    const configDir = join(packageRoot, 'bench/neighbours/config');
    policy = await openPolicy({ bytes: readFileSync(BUNDLE), name: BUNDLE, configDir, variables: {} });
    const plan = await policy.plan(PKG, INPUT);
    const usual = outcomeOf(plan);
    const decision = policy.decide(PKG, INPUT, usual, plan);
    expect(decision).not.toBeInstanceOf(Promise);
    expect(decision).toMatchObject({ allow: true, reason: 'ok' });
    // As it is where nobody has asked for the plan before.
    const another = { ...plan };
    const evaluated = policy.decide(PKG, INPUT, usual, another);
    expect(evaluated).toBeInstanceOf(Promise);
    expect(await evaluated).toEqual(decision);
    const short = { ...usual, granted: false };
    expect(await policy.decide(PKG, INPUT, short, plan)).toMatchObject({ allow: false });
  });
});

function outcomeOf(plan: Plan) {
  const numbers = { capacity: 10, before: 0, used: 1, remaining: 9, used_percent: 10, reset_at: 0, retry_after_ms: 0 };
  const limits = plan.limits.map(({ id, on_exceed }) => ({
    id,
    on_exceed,
    granted: true,
    over: false,
    crossed: [],
    ...numbers,
  }));
  return { granted: true, candidate: null, closed: [], limits };
}

describe('an evaluation with its decision', () => {
  let evaluator: Evaluator | undefined;
  afterEach(() => evaluator?.close());

  test('is the plan’s alone where the decision fails', async () => {
    const { data, wasm } = await readBundle(BUNDLE);
    const threadFile = compiled('sidecar/policy/evaluation-thread.js');
    const given = { ...data, config: {} };
    evaluator = await Evaluator.open({
      wasm,
      data: JSON.stringify(given),
      timeoutMs: 1_000,
      memoryPages: 1_024,
      threadFile,
    });
    const plan = await evaluator.evaluate(`${PKG}/plan`, INPUT);
    expect(plan).toMatchObject({ ok: true });
    expect(await evaluator.evaluate(`${PKG}/plan`, INPUT, `${PKG}/nothing_there`)).toEqual(plan);
  });
});
