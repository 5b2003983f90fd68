import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { packageRoot } from '../../runtime/package-root.ts';
import { openWorkbench, type Workbench } from './open.ts';
import { trialsView } from './trial-view.ts';
import { trialJson, tryInTurn } from './trials.ts';

const AT = Date.parse('2026-11-21T09:00:00Z');

const open = async (file: string, pkg?: string) =>
  openWorkbench({
    bytes: await readFile(join(packageRoot, file)),
    name: file,
    configDir: join(packageRoot, 'config'),
    pkg,
    variables: {},
  });

/** The policy of the fixtures: its plan and its decision are what the input says. */
let metered: Workbench;

beforeAll(async () => {
  metered = await open('test/policies/metered.tar.gz', 'test/metered');
});

afterAll(() => metered.policy.close());

const limit = { id: 'a', subject: { type: 'tenant', id: 'acme' }, unit: 'tokens', kind: 'token_bucket', capacity: 3 };
const refill = { amount: 3, per_seconds: 60, mode: 'continuous' };
const drawing = (more: object) => ({ tenant_id: 'acme', limits: [{ ...limit, refill, cost: 2 }], ...more });

const ask = (inputs: unknown[], { everyMs = 0, times = 1 } = {}) =>
  tryInTurn({ ...metered, inputs, times, at: AT, everyMs });

const allowed = (trials: Awaited<ReturnType<typeof ask>>) =>
  trials.map(({ answer }) => (answer === 'conflict' ? answer : answer.decision.allow));

test('counts over the requests, and from nothing each time', async () => {
  expect(allowed(await ask([drawing({})], { times: 2 }))).toEqual([true, false]);
  expect(allowed(await ask([drawing({})]))).toEqual([true]);
});

test('time passes as it is told to', async () => {
  const trials = await ask([drawing({})], { times: 3, everyMs: 20_000 });
  expect(allowed(trials)).toEqual([true, true, false]);
  expect(trials.map(({ at }) => at - AT)).toEqual([0, 20_000, 40_000]);
});

test('answers a request id again as a sidecar does, and another body with a conflict', async () => {
  const trials = await ask([
    drawing({ request_id: 'r' }),
    drawing({ request_id: 'r' }),
    { tenant_id: 'acme', request_id: 'r' },
  ]);
  expect(allowed(trials)).toEqual([true, true, 'conflict']);
  expect(trialJson(trials[1] as never)).toMatchObject({ replayed: true });
  expect(trialsView(trials, 'test/metered')).toMatch(/3 +conflict[\s\S]*CONFLICT/);
});

test('what a decision refuses after all is given back', async () => {
  expect(allowed(await ask([drawing({ refuse_after: true }), drawing({})]))).toEqual([false, true]);
});

test('shows a refusal by the plan, warnings, obligations and a failure', async () => {
  const view = async (input: object) => trialsView(await ask([input]), 'test/metered');
  const refuse = { reason: 'unknown_tenant', status: 403, message: 'Who?' };
  expect(await view({ tenant_id: 'acme', refuse })).toMatch(/PLAN {2}refuses: unknown_tenant, status 403\n {2}Who\?/);
  const told = await view(drawing({ warnings: ['Soon.'], footer: '{tokens_used} used' }));
  expect(told).toMatch(/warning: Soon\.\n {2}footer: "2 used"/);
  expect(await view(drawing({ break_decision: 'overrule', limits: [{ ...limit, refill, cost: 9 }] }))).toMatch(
    /policy_error[\s\S]*FAILURE {2}test\/metered\/decision allows what a limit refused/,
  );
});

test('shows candidates and the one that was chosen', async () => {
  const candidates = [
    { model: 'large', limits: [{ ...limit, id: 'large', refill, cost: 9 }] },
    { model: 'small', limits: [{ ...limit, id: 'small', refill, cost: 1, on_exceed: 'flag', thresholds: [30] }] },
  ];
  const view = trialsView(await ask([{ tenant_id: 'acme', candidates }]), 'test/metered');
  expect(view).toMatch(/or large\n[\s\S]*or small\n[\s\S]*only flags, announces 30 %/);
  expect(view).toMatch(/TAKE {2}granted, chosen small\n[\s\S]*crossed 30 %/);
});

test('asks the only metered package, and refuses a bundle that has none', async () => {
  await expect(open('test/policies/plain.tar.gz')).rejects.toThrow(/no metered package/);
  const shipped = await open('policies/dist/bundle.tar.gz');
  expect(shipped.pkg).toBe('openclaw/rate_limit');
  await shipped.policy.close();
});
