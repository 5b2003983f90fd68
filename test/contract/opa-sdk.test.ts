import { join } from 'node:path';
import { OPAClient } from '@open-policy-agent/opa';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { packageRoot } from '../../runtime/package-root.ts';
import { BRING_TIMEOUT_MS } from '../helpers/bring.ts';
import { startOpa } from '../helpers/opa-server.ts';
import { startRedis } from '../helpers/redis-server.ts';
import { startSidecar } from '../helpers/services.ts';

/** OPA's own client cannot tell the sidecar from `opa run --server` on a policy that has no counters. */
const bundle = join(packageRoot, 'test/policies/plain.tar.gz');

const stops: (() => Promise<unknown>)[] = [];
let sidecar: OPAClient;
let opa: OPAClient;

beforeAll(async () => {
  const redis = await startRedis();
  stops.push(() => redis.stop());
  const [ours, theirs] = await Promise.all([
    startSidecar({ REDIS_URL: redis.url, POLICY_BUNDLE: bundle, OPA_TOKEN: 'secret' }),
    startOpa({ bundle }),
  ]);
  stops.unshift(
    () => ours.process.stop(),
    () => theirs.stop(),
  );
  sidecar = new OPAClient(ours.url, { headers: { Authorization: 'Bearer secret' } });
  opa = new OPAClient(theirs.url);
}, BRING_TIMEOUT_MS);

afterAll(async () => {
  for (const stop of stops) await stop();
});

const INPUTS = [
  { user: 'alice', action: 'read' },
  { user: 'alice', action: 'write' },
  { user: 'bob', action: 'read' },
  { user: 'bob', action: 'write' },
  { user: '', action: '' },
  { user: 'mallory' },
  { unrelated: [1, { deep: true }] },
];

describe.each(INPUTS)('%j', (input) => {
  test('has the same boolean', async () => {
    const path = 'authz/plain/allow';
    const [ours, theirs] = await Promise.all([sidecar.evaluate(path, input), opa.evaluate(path, input)]);
    expect(typeof theirs).toBe('boolean');
    expect(ours).toBe(theirs);
  });
});

test('the two differ from input to input, so that agreeing means something', async () => {
  const answers = await Promise.all(INPUTS.map((input) => opa.evaluate('authz/plain/allow', input)));
  expect(new Set(answers)).toEqual(new Set([true, false]));
});
