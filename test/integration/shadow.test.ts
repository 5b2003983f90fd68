import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createClient } from 'redis';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { adjustablePolicy, type Rules } from '../helpers/adjustable-policy.ts';
import { BRING_TIMEOUT_MS, bringOpa } from '../helpers/bring.ts';
import { eventually } from '../helpers/eventually.ts';
import { type RedisServer, startRedis } from '../helpers/redis-server.ts';
import { type Service, startSidecar } from '../helpers/services.ts';
import { get, post } from '../helpers/sidecar-client.ts';
import { tempDir } from '../helpers/temp-dir.ts';

let bundleOf: Awaited<ReturnType<typeof adjustablePolicy>>;
let redis: RedisServer;
let client: ReturnType<typeof createClient>;

beforeAll(async () => {
  await bringOpa();
  bundleOf = await adjustablePolicy();
  redis = await startRedis();
  client = createClient({ url: redis.url });
  await client.connect();
}, BRING_TIMEOUT_MS);

beforeEach(async () => {
  await client.flushAll();
});

afterAll(() => client.destroy());

interface Shadowed extends Service {
  /** Puts another shadow bundle there, and waits until it is active. */
  replace(rules: Rules, revision: string): Promise<void>;
}

/** A sidecar with one policy in force and, unless it is `undefined`, one in shadow. */
async function start(live: Rules, shadow: Rules | undefined): Promise<Shadowed> {
  const dir = await tempDir('bundles');
  const files = { live: join(dir, 'live.tar.gz'), shadow: join(dir, 'shadow.tar.gz') };
  await writeFile(files.live, await bundleOf('live', live));
  const put = async (rules: Rules, revision: string) => {
    await writeFile(`${files.shadow}.new`, await bundleOf(revision, rules));
    await rename(`${files.shadow}.new`, files.shadow);
  };
  if (shadow) await put(shadow, 'next');
  const service = await startSidecar({
    DATA_DIR: await tempDir('data'),
    POLICY_BUNDLE: files.live,
    SHADOW_POLICY_BUNDLE: files.shadow,
    REDIS_URL: redis.url,
  });
  const active = (revision: string) =>
    eventually(async () => expect((await status(service)).shadow.active_revision).toBe(revision), {
      timeoutMs: 20_000,
    });
  if (shadow) await active('next');
  const replace = async (rules: Rules, revision: string) => {
    await put(rules, revision);
    await active(revision);
  };
  return { ...service, replace };
}

const status = async (service: Service) => (await get(`${service.url}/v1/status`)).body.result.bundles;

/** Asks one after the other, and gives the answers. */
async function askTimes(service: Service, times: number, more: object = {}): Promise<boolean[]> {
  const answers: boolean[] = [];
  for (let n = 0; n < times; n++) {
    const input = { tenant_id: 'acme', user_id: 'alice', model: 'lab/large', ...more };
    const { body } = await post(`${service.url}/v1/data/test/adjustable/allow`, { input });
    answers.push(body.result);
  }
  return answers;
}

/** The metrics of the comparison, as soon as so many decisions have been compared. */
function compared(service: Service, decisions: number): Promise<Record<string, number>> {
  return eventually(
    async () => {
      const { body } = await get(`${service.url}/metrics`);
      const lines = [...String(body).matchAll(/^openclaw_shadow_(\w+?)_total(?:\{\w+="(\w+)"\})? (\d+)$/gm)];
      const counts: [string, number][] = lines.map(([, metric = '', label, value]) => [
        label ? `${metric}:${label}` : metric,
        Number(value),
      ]);
      const isDecisions = ([name]: [string, number]) => name.startsWith('decisions:');
      expect(counts.filter(isDecisions).reduce((sum, [, value]) => sum + value, 0)).toBe(decisions);
      return Object.fromEntries(counts.filter(([, value]) => value > 0));
    },
    { timeoutMs: 20_000 },
  );
}

const loggedDifferences = ({ process }: Service) =>
  process.output.filter((line) => line.includes('answers differently')).map((line) => JSON.parse(line));

const yes = (times: number) => Array.from({ length: times }, () => true);
const no = (times: number) => Array.from({ length: times }, () => false);

describe('what the policy in shadow would have answered is counted', () => {
  test('as the same, where it is', async () => {
    const service = await start({}, {});
    expect(await askTimes(service, 30)).toEqual([...yes(20), ...no(10)]);
    expect(await compared(service, 30)).toEqual({ 'decisions:same': 30, 'billed:live': 20, 'billed:shadow': 20 });
    expect(loggedDifferences(service)).toEqual([]);
  });

  test('on the counters as the policy in force sees them, also of what was used before', async () => {
    const service = await start({}, undefined);
    await askTimes(service, 10);
    await service.replace({ capacity: 15 }, 'stricter');
    expect(await askTimes(service, 12)).toEqual([...yes(10), ...no(2)]);
    expect(await compared(service, 12)).toEqual({
      'decisions:same': 5 + 2,
      'decisions:would_deny': 5,
      'billed:live': 10,
      'billed:shadow': 5,
    });
  });

  test('where it would allow what is denied', async () => {
    const service = await start({ capacity: 3 }, { capacity: 20 });
    expect(await askTimes(service, 5)).toEqual([...yes(3), ...no(2)]);
    expect(await compared(service, 5)).toMatchObject({ 'decisions:same': 3, 'decisions:would_allow': 2 });
  });

  test('on counters of its own, where only it has them, corrected by the usage that is reported', async () => {
    const service = await start({}, { user_capacity: [4] });
    expect(await askTimes(service, 6)).toEqual(yes(6));
    expect(await compared(service, 6)).toMatchObject({ 'decisions:same': 4, 'decisions:would_deny': 2 });

    const input = { tenant_id: 'acme', user_id: 'bob', model: 'lab/large' };
    const { body } = await post(`${service.url}/v1/data/test/adjustable/allow`, { input });
    await compared(service, 7);
    const report = { decision_id: body.decision_id, outcome: 'succeeded', usage: { input: 3, output: 1 } };
    // The policy in force has nothing to settle.
    expect((await post(`${service.url}/v1/usage`, report)).status).toBe(404);
    expect(await askTimes(service, 1, { user_id: 'bob' })).toEqual(yes(1));
    expect(await compared(service, 8)).toMatchObject({ 'decisions:same': 5, 'decisions:would_deny': 3 });
  });

  test('where it would take another model, bill another amount, say another reason, or refuse in its plan', async () => {
    const small = { model: 'lab/small' };
    const large = { model: 'lab/large' };
    const service = await start({ candidates: [large, small] }, { candidates: [small, large] });
    await askTimes(service, 2);
    expect(await compared(service, 2)).toMatchObject({ 'decisions:would_reroute': 2 });

    await service.replace({ candidates: [large, small], cost: 3 }, 'dearer');
    await askTimes(service, 1);
    expect(await compared(service, 3)).toMatchObject({
      'decisions:would_differ': 1,
      'billed:live': 3,
      'billed:shadow': 5,
    });

    await service.replace({ candidates: [large, small], refused: ['lab/large'] }, 'refusing');
    await askTimes(service, 1);
    expect(await compared(service, 4)).toMatchObject({ 'decisions:would_deny': 1 });

    await service.replace({ capacity: 4, reason: 'budget_exceeded' }, 'other words');
    await askTimes(service, 17, { tenant_id: 'globex' });
    await compared(service, 21);
    const [first, ...more] = loggedDifferences(service);
    expect(first).toMatchObject({
      level: 30,
      difference: 'would_reroute',
      package: 'test/adjustable',
      tenant_id: 'acme',
      user_id: 'alice',
      model: 'lab/large',
      live: { revision: 'live', allow: true, reason: 'ok', status: 200, candidate: 'lab/large', billed: 1 },
      shadow: { revision: 'next', allow: true, reason: 'ok', status: 200, candidate: 'lab/small', billed: 1 },
    });
    expect(more[2]).toMatchObject({ difference: 'would_deny', shadow: { reason: 'unknown_model', billed: 0 } });
  });

  test('of a flood of differences ten lines a second are logged, and the rest is told in the next', async () => {
    const service = await start({ capacity: 1_000 }, { capacity: 0 });
    await askTimes(service, 200);
    await compared(service, 200);
    const began = loggedDifferences(service).length;
    expect(began).toBeLessThan(200);
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    await askTimes(service, 1);
    await compared(service, 201);
    const lines = loggedDifferences(service);
    expect(lines.length).toBe(began + 1);
    expect(lines.reduce((sum, { unlogged = 0 }) => sum + 1 + unlogged, 0)).toBe(201);
  });
});

/** Without what is told of the policies themselves. */
async function usageEvents() {
  const entries = (await client.xRange('ocr:{p0}:usage', '-', '+')) ?? [];
  return entries.filter(({ message }) => !message.e?.includes('"type":"audit"'));
}

describe('it is never in force', () => {
  test('the counters, the usage stream and the answers are as without it', async () => {
    const all = async (shadow: Rules | undefined) => {
      await client.flushAll();
      const service = await start({ user_capacity: [100] }, shadow);
      const answers = await askTimes(service, 25);
      if (shadow) await compared(service, 25);
      await service.process.kill('SIGTERM');
      const keys = (await client.keys('*')).filter((key) => !/:(d|q|l):/.test(key)).sort();
      return { answers, keys, events: (await usageEvents()).length };
    };
    const without = await all(undefined);
    expect(without).toMatchObject({ answers: [...yes(20), ...no(5)], events: 25 });
    expect(await all({ capacity: 2, user_capacity: [1], cost: 2 })).toEqual(without);
  });

  test('one that fails is counted, and named with what went wrong', async () => {
    const service = await start({}, { conflicts: true });
    expect(await askTimes(service, 3)).toEqual(yes(3));
    expect(await compared(service, 3)).toMatchObject({ 'decisions:would_fail': 3, 'billed:live': 3 });
    expect(loggedDifferences(service)[0]).toMatchObject({
      difference: 'would_fail',
      shadow: { reason: 'policy_error' },
      err: { message: expect.stringContaining('conflict') },
    });
  });

  test('one that cannot be used stops nothing; status and metrics say why, and a sound one takes its place', async () => {
    const service = await start({}, undefined);
    expect(await status(service)).toMatchObject({
      policy: { name: 'policy', active_revision: 'live' },
      shadow: { name: 'shadow', code: 'bundle_error', reason: 'missing' },
    });
    expect((await get(`${service.url}/health?bundles&plugins`)).status).toBe(200);
    expect((await get(`${service.url}/metrics`)).body).toMatch(/^openclaw_shadow_bundle_failing 1$/m);
    expect(await askTimes(service, 1)).toEqual(yes(1));
    expect(await compared(service, 0)).toEqual({});

    await service.replace({ capacity: 1 }, 'there');
    expect((await get(`${service.url}/metrics`)).body).toMatch(/^openclaw_shadow_bundle_failing 0$/m);
    await askTimes(service, 1);
    expect(await compared(service, 1)).toMatchObject({ 'decisions:would_deny': 1 });
  });
});
