import { join } from 'node:path';
import { Registry } from 'prom-client';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { loadConfig } from '../../runtime/config/files.ts';
import { compiled, packageRoot } from '../../runtime/package-root.ts';
import { TestClock } from '../../test/helpers/clock.ts';
import { identitiesOn } from '../../test/helpers/identities.ts';
import { Identities } from '../identity/identities.ts';
import { SERVICE } from '../identity/identity.ts';
import { DecisionMetrics } from '../metrics.ts';
import { readBundle } from '../policy/bundle.ts';
import { Policy } from '../policy/policy.ts';
import { scratchDecider } from '../simulation/scratch-decider.ts';
import { createScratchStore } from '../simulation/scratch-store.ts';
import { type EvaluateDeps, evaluate } from './evaluate.ts';

/** What is asked for is of the policy in force; before it is answered another one takes its place, without such a package. */
let before: Policy;
let after: Policy;

const open = async (bundle: string): Promise<Policy> =>
  Policy.open({
    bundle: await readBundle(join(packageRoot, 'test/policies', bundle)),
    config: {},
    timeoutMs: 5_000,
    threadFile: compiled('sidecar/policy/evaluation-thread.js'),
  });

beforeEach(async () => {
  [before, after] = await Promise.all([open('metered.tar.gz'), open('plain.tar.gz')]);
});

afterEach(() => Promise.all([before.close(), after.close()]));

async function reloading(): Promise<EvaluateDeps> {
  const clock = new TestClock(Date.parse('2026-01-01T12:00:00Z'));
  const { store } = createScratchStore({ clock });
  const configDir = join(packageRoot, 'config');
  const identities = await Identities.open(
    { ...identitiesOn({ store, clock }), tokens: undefined, configDir },
    loadConfig(configDir),
  );
  let asked = 0;
  return {
    policy: () => (asked++ === 0 ? before : after),
    decider: scratchDecider({ policy: after, store, clock }),
    metrics: new DecisionMetrics(new Registry(), clock),
    decisionLog: undefined,
    shadow: undefined,
    notices: undefined,
    identities,
    granted: { tokens: () => 0 },
    clock,
  };
}

const input = {
  tenant_id: 'acme',
  limits: [
    {
      id: 'bucket',
      subject: { type: 'tenant', id: 'acme' },
      unit: 'tokens',
      kind: 'token_bucket',
      capacity: 2,
      cost: 1,
      refill: { amount: 2, per_seconds: 86_400, mode: 'interval' },
    },
  ],
};

const GRANTED = { allow: true, reason: 'ok' };

test('a document above a metered package is of one policy, whatever takes its place meanwhile', async () => {
  const { policyRevision, result } = await evaluate(await reloading(), {
    path: ['test'],
    input,
    identity: SERVICE,
    take: false,
  });
  expect(policyRevision).toBe(before.revision);
  expect(result).toMatchObject({ metered: { allow: true, decision: GRANTED, plan: { limits: [{ id: 'bucket' }] } } });
});

test.each([true, false])(
  'a metered package is of one policy, whatever takes its place meanwhile (take: %s)',
  async (take) => {
    const { policyRevision, result } = await evaluate(await reloading(), {
      path: ['test', 'metered'],
      input,
      identity: SERVICE,
      take,
    });
    expect(policyRevision).toBe(before.revision);
    expect(result).toMatchObject({ allow: true, decision: GRANTED });
  },
);
