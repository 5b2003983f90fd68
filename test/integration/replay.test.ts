import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { beforeAll, describe, expect, test } from 'vitest';
import { packageRoot } from '../../runtime/package-root.ts';
import type { Replayed } from '../../sidecar/simulation/replay/replay.ts';
import type { ReplaySummary } from '../../sidecar/simulation/replay/report.ts';
import { runReplay } from '../../sidecar/simulation/replay/run.ts';
import { openPolicy } from '../../sidecar/workbench/open-policy.ts';
import { adjustablePolicy, type Rules } from '../helpers/adjustable-policy.ts';
import { BRING_TIMEOUT_MS, bringOpa } from '../helpers/bring.ts';
import { fullLength } from '../helpers/full-length.ts';
import { type RedisServer, startRedis } from '../helpers/redis-server.ts';
import { startSidecar } from '../helpers/services.ts';
import { post } from '../helpers/sidecar-client.ts';
import { tempDir } from '../helpers/temp-dir.ts';
import { atTestEnd } from '../helpers/test-end.ts';

let bundleOf: Awaited<ReturnType<typeof adjustablePolicy>>;
let redis: RedisServer;

beforeAll(async () => {
  await bringOpa();
  bundleOf = await adjustablePolicy();
  redis = await startRedis();
}, BRING_TIMEOUT_MS);

interface Asked {
  tenant: string;
  user: string;
  times: number;
  more?: object;
}

/** What a real sidecar logs of these requests: the folder of its log files. */
async function logOf(live: Rules, asked: Asked[]): Promise<string> {
  const dataDir = await tempDir('data');
  const bundle = join(await tempDir('bundles'), 'live.tar.gz');
  await writeFile(bundle, await bundleOf('live', live));
  const service = await startSidecar({
    DATA_DIR: dataDir,
    POLICY_BUNDLE: bundle,
    REDIS_URL: redis.url,
    DECISION_LOGS: 'file',
  });
  for (const { more, tenant, times, user } of asked) {
    for (let n = 0; n < times; n++) {
      const input = { tenant_id: tenant, user_id: user, model: 'lab/large', prompt: 'secret', ...more };
      await post(`${service.url}/v1/data/test/adjustable/allow`, { input });
    }
  }
  await service.process.kill('SIGTERM');
  return join(dataDir, 'decision-logs', 'files');
}

interface With {
  from?: number;
  to?: number;
  callMs?: number;
}

async function replayed(
  logs: string[],
  rules: Rules,
  { callMs = 30_000, from = Number.NEGATIVE_INFINITY, to = Number.POSITIVE_INFINITY }: With = {},
): Promise<{ summary: ReplaySummary; each: Replayed[] }> {
  const policy = await openPolicy({
    bytes: await bundleOf('candidate', rules),
    name: 'candidate',
    configDir: join(packageRoot, 'config'),
    variables: { POLICY_TIMEOUT_MS: '5000' },
  });
  atTestEnd(() => policy.close());
  const each: Replayed[] = [];
  const onReplayed = (one: Replayed) => void each.push(one);
  const summary = await runReplay({ policy, logs, from, to, callMs, priceOf: () => '0.0001', onReplayed });
  return { summary, each };
}

/** Without the zeros. */
const differences = ({ differences }: { differences: object }) =>
  Object.fromEntries(Object.entries(differences).filter(([, count]) => count > 0));

describe('what a sidecar logged is asked again', () => {
  let log: string;

  beforeAll(async () => {
    log = await logOf({}, [
      { tenant: 'replay-a', user: 'alice', times: 25 },
      { tenant: 'replay-b', user: 'bob', times: 5 },
      { tenant: 'replay-a', user: 'carol', times: 2 },
    ]);
  });

  test('the same policy answers the same', async () => {
    const { summary } = await replayed([log], {});
    expect(summary).toMatchObject({
      revision: 'candidate',
      decisions: 32,
      billed: { recorded: 25, candidate: 25 },
      cost_usd: { recorded: '0.0025', candidate: '0.0025', difference: '0.00' },
      failures: [],
      missing: [{ pointer: '/input/prompt', decisions: 32 }],
      skipped: {},
    });
    expect(differences(summary)).toEqual({ same: 32 });
  });

  test('a stricter one would have denied, and who is told first', async () => {
    const { summary, each } = await replayed([log], { capacity: 8 });
    expect(differences(summary)).toEqual({ same: 20, would_deny: 12 });
    expect(summary.cost_usd).toEqual({ recorded: '0.0025', candidate: '0.0013', difference: '-0.0012' });
    expect(summary.callers.map(({ decisions, user_id }) => [user_id, decisions])).toEqual([
      ['alice', 25],
      ['bob', 5],
      ['carol', 2],
    ]);
    expect(differences(summary.callers[0] ?? summary)).toEqual({ same: 13, would_deny: 12 });
    expect(each.findIndex(({ difference }) => difference === 'would_deny')).toBe(8);
  });

  test('a wider one would have allowed, on what it would have counted itself', async () => {
    const { summary } = await replayed([log], { capacity: 23 });
    expect(differences(summary)).toEqual({ same: 29, would_allow: 3 });
    expect(summary.cost_usd.difference).toBe('0.0003');
  });

  test('one with another model, another cost, a limit of its own, or a failure', async () => {
    expect(differences((await replayed([log], { candidates: [{ model: 'lab/small' }] })).summary)).toEqual({
      same: 7,
      would_reroute: 25,
    });
    expect(differences((await replayed([log], { cost: 2 })).summary)).toEqual({
      same: 7,
      would_deny: 10,
      would_differ: 15,
    });
    // So the tenant's bucket has room for carol's first.
    expect(differences((await replayed([log], { user_capacity: [1] })).summary)).toEqual({
      same: 8,
      would_deny: 23,
      would_allow: 1,
    });
    const { summary } = await replayed([log], { conflicts: true });
    expect(differences(summary)).toEqual({ would_fail: 32 });
    expect(summary.failures).toEqual([{ message: expect.stringContaining('conflict'), decisions: 32 }]);
  });

  test('a part of the time begins with what the counters showed then', async () => {
    const all = await replayed([log], {});
    const [from, to] = [all.each[10]?.recorded.at ?? 0, all.each[32]?.recorded.at];
    expect(to).toBeUndefined();
    const before = all.each.filter(({ recorded }) => recorded.at < from).length;
    const { summary } = await replayed([log], { capacity: before + 2 }, { from });
    expect(summary.decisions).toBe(32 - before);
    expect(differences(summary)).toMatchObject({ would_deny: 20 - before - 2 });
    expect((await replayed([log], {}, { to: from })).summary.decisions).toBe(before);
  });

  test('in the order in which it was decided, from several files, gzipped or not; foreign lines are told', async () => {
    const lines = (await readFile(join(log, 'decisions.jsonl'), 'utf8')).trim().split('\n');
    const dir = await tempDir('logs');
    const half = (odd: boolean) => lines.filter((_, n) => n % 2 === (odd ? 1 : 0)).join('\n');
    await writeFile(join(dir, 'one.jsonl'), half(true));
    await writeFile(join(dir, 'two.jsonl.gz'), gzipSync(`not json\n${half(false)}\n{"level":30,"msg":"hello"}\n`));
    await writeFile(join(dir, 'notes.txt'), 'of another kind');
    const { summary, each } = await replayed([dir], { capacity: 8 });
    expect(differences(summary)).toEqual({ same: 20, would_deny: 12 });
    expect(summary.skipped).toEqual({ not_json: 1, not_a_decision: 1 });
    const times = each.map(({ recorded }) => recorded.at);
    expect(times).toEqual(times.toSorted((a, b) => a - b));
  });

  test('what cannot be read is named', async () => {
    const dir = await tempDir('logs');
    await expect(replayed([join(dir, 'none')], {})).rejects.toThrow('there is no such file or folder');
    await expect(replayed([dir], {})).rejects.toThrow('no decision log in it');
    await writeFile(join(dir, 'broken.jsonl.gz'), 'not gzip');
    await expect(replayed([dir], {})).rejects.toThrow(/broken\.jsonl\.gz: .*header/);
    await mkdir(join(dir, 'empty'));
    await writeFile(join(dir, 'empty', 'decisions.jsonl'), '');
    expect((await replayed([join(dir, 'empty')], {})).summary).toMatchObject({ decisions: 0, from: null, to: null });
  });
});

/**
 * A day of many users, as `known` logs it, made here. 100,000 decisions at full length; the time is printed, and
 * nothing is said of it.
 */
test('a long log', { timeout: 300_000 }, async () => {
  const decisions = fullLength ? 100_000 : 5_000;
  const start = Date.parse('2026-03-01T00:00:00Z');
  const step = Math.floor(86_400_000 / decisions);
  const lines = Array.from({ length: decisions }, (_, n) => {
    const at = new Date(start + n * step).toISOString();
    return JSON.stringify({
      labels: { id: 'sidecar', version: '0.1.0' },
      decision_id: `d${n}.0`,
      bundles: { policy: { revision: 'live' } },
      path: 'test/adjustable/allow',
      input: {
        tenant_id: `t${n % 10}`,
        user_id: `u${n % 1_000}`,
        model: `lab/m${n % 7}`,
        input_tokens: (n * 7_919) % 4_000,
        max_output_tokens: 1_024,
      },
      result: true,
      timestamp: at,
      metrics: { timer_server_handler_ns: 500_000 },
      openclaw: {
        package: 'test/adjustable',
        allow: true,
        reason: 'ok',
        status: 200,
        decided_at: at,
        billed: 1,
        granted: true,
        candidate: null,
        limits: [
          { id: 'tenant:tokens', before: Math.floor(n / 10), capacity: 1_000_000, used: Math.floor(n / 10) + 1 },
        ],
      },
    });
  });
  const dir = await tempDir('logs');
  await writeFile(join(dir, 'decisions.jsonl'), lines.join('\n'));
  const began = performance.now();
  const perUser = Math.floor(decisions / 1_000);
  const { summary } = await replayed([dir], { capacity: 1_000_000, user_capacity: [perUser - 1] });
  console.info(`${decisions} decisions replayed in ${((performance.now() - began) / 1_000).toFixed(1)} s`);
  expect(differences(summary)).toEqual({ same: decisions - 1_000, would_deny: 1_000 });
});
