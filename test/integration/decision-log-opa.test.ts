import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { packageRoot } from '../../runtime/package-root.ts';
import { BRING_TIMEOUT_MS, bringOpa } from '../helpers/bring.ts';
import { Child } from '../helpers/child.ts';
import { eventually } from '../helpers/eventually.ts';
import { onFreePort } from '../helpers/free-port.ts';
import { startRedis } from '../helpers/redis-server.ts';
import { startSidecar } from '../helpers/services.ts';
import { post } from '../helpers/sidecar-client.ts';
import { tempDir } from '../helpers/temp-dir.ts';

/** The sidecar and a real `opa run --server` log the same of the same requests, masked and dropped by one policy. */
const BUNDLE = join(packageRoot, 'test/policies/logged.tar.gz');

interface Side {
  url: string;
  child: Child;
}

let sidecar: Side;
let opa: Side;
const stops: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  const redis = await startRedis();
  stops.push(() => redis.stop());
  [sidecar, opa] = await Promise.all([startOurs(redis.url), startTheirs()]);
}, BRING_TIMEOUT_MS);

afterAll(async () => {
  for (const stop of stops.reverse()) await stop();
});

async function startOurs(redis: string): Promise<Side> {
  const { process, url } = await startSidecar({
    REDIS_URL: redis,
    POLICY_BUNDLE: BUNDLE,
    DATA_DIR: await tempDir('ours'),
    POLICY_TIMEOUT_MS: '10000',
    DECISION_LOGS: 'console',
    DECISION_LOG_CONTENT: 'full',
    DECISION_LOG_LABELS: 'app=checkout',
  });
  stops.push(() => process.stop());
  return { url, child: process };
}

/** Its log is its output, which the helper for OPA does not show. */
async function startTheirs(): Promise<Side> {
  const program = await bringOpa();
  const cwd = await tempDir('theirs');
  return onFreePort(
    async (port) => {
      const logs = ['--set', 'decision_logs.console=true', '--set', 'labels.app=checkout'];
      const child = new Child(program, {
        args: ['run', '--server', '--addr', `127.0.0.1:${port}`, '--skip-version-check', ...logs, '--bundle', BUNDLE],
        cwd,
      });
      const url = `http://127.0.0.1:${port}`;
      await child.whileRunning(eventually(async () => expect((await fetch(`${url}/health?bundles`)).status).toBe(200)));
      stops.push(() => child.stop());
      return { url, child };
    },
    (error) => /address already in use/.test(String(error)),
  );
}

// biome-ignore lint/suspicious/noExplicitAny: any line of a log
type LogLine = Record<string, any>;

const logged = ({ child }: Side): LogLine[] =>
  child.output.filter((line) => line.includes('openpolicyagent.org/decision_logs')).map((line) => JSON.parse(line));

/** What is logged of one request. */
async function lineOf(side: Side, path: string, body: unknown): Promise<LogLine> {
  const answer = await post(`${side.url}/v1/data/${path}`, body);
  return eventually(() => {
    const line = logged(side).find(({ decision_id }) => decision_id === answer.body.decision_id);
    if (!line) throw new Error(`no line for ${answer.body.decision_id}`);
    return line;
  });
}

/** Without what differs from run to run, or is of the process. */
function comparable({ bundles, labels, level, metrics, ...line }: LogLine): LogLine {
  for (const name of ['decision_id', 'time', 'timestamp', 'req_id', 'requested_by']) expect(line).toHaveProperty(name);
  const { decision_id: _, req_id: __, requested_by: ___, time: ____, timestamp: _____, ...rest } = line;
  return {
    ...rest,
    labels: { ...labels, id: typeof labels.id, version: typeof labels.version },
    bundles: Object.values(bundles),
    timer: typeof metrics.timer_server_handler_ns,
  };
}

/** Where the two write the same. */
const BODIES: [string, unknown][] = [
  ['test/logged/echo', { input: { user: 'alice', n: 1.5, list: [1, null, 'ü'] } }],
  ['test/logged/echo', {}],
  ['test/logged/echo/a/b', { input: { a: { b: [true] } } }],
  ['test/logged/echo/not/there', { input: { a: 1 } }],
  ['test/nothing/at/all', { input: { a: 1 } }],
  ['test/logged/echo', { input: 'text' }],
  ['test/logged/echo', { input: false }],
];

test.each(BODIES)('%s %j', async (path, body) => {
  const [ours, theirs] = await Promise.all([lineOf(sidecar, path, body), lineOf(opa, path, body)]);
  expect(comparable(ours)).toEqual(comparable(theirs));
  expect(ours.timestamp).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z$/);
  expect(theirs.timestamp).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z$/);
  expect(ours.requested_by).toMatch(/^127\.0\.0\.1:\d+$/);
  expect(theirs.requested_by).toMatch(/^127\.0\.0\.1:\d+$/);
});

const upsert = (path: string, value?: unknown) => ({ op: 'upsert', path, value });
const remove = (path: string) => ({ op: 'remove', path });

const MASKS: unknown[][] = [
  [],
  ['/input'],
  ['/result'],
  ['/input', '/result', '/nd_builtin_cache'],
  ['/input/a', '/input/nothing', '/input/o/x', '/result/o'],
  [
    remove('/input/a'),
    remove('/result/list/0'),
    remove('/result/list/0'),
    remove('/input/list/9'),
    remove('/input/list/x'),
  ],
  [remove('/input/list/1/k'), remove('/input/nested/0/0'), remove('/input/a/b/c')],
  [
    upsert('/input/a', '**'),
    upsert('/input/new/deep/key', { b: [1] }),
    upsert('/input/list/0', null),
    upsert('/result/a'),
  ],
  [upsert('/input', { only: 'this' }), remove('/input/only')],
  [upsert('/input/a/b', 1), upsert('/input/list/9', 1), upsert('/input/list/x', 1), upsert('/nd_builtin_cache/a', 1)],
  [upsert('/input/list/1/k', 'v'), upsert('/result', 7)],
  ['/input/mask', remove('/result/mask'), remove('/result/mask')],
];

describe('masks', () => {
  test.each(MASKS.map((mask) => [JSON.stringify(mask), mask] as const))('%s', async (_, mask) => {
    const input = { a: 1, o: { x: 1, y: 2 }, list: [1, { k: 2 }, 3], nested: [[1, 2], 3], mask };
    const [ours, theirs] = await Promise.all([
      lineOf(sidecar, 'test/logged/echo', { input }),
      lineOf(opa, 'test/logged/echo', { input }),
    ]);
    expect(comparable(ours)).toEqual(comparable(theirs));
  });
});

test('what one drops the other drops, and only for true', async () => {
  for (const drop of [true, false, 'yes', 1, null]) {
    const body = { input: { drop } };
    const [ours, theirs] = await Promise.all(
      [sidecar, opa].map(async (side) => {
        const { body: answer } = await post(`${side.url}/v1/data/test/logged/echo`, body);
        // The next one's line comes after where this one's would be.
        await lineOf(side, 'test/logged/echo', { input: 'next' });
        return logged(side).some(({ decision_id }) => decision_id === answer.decision_id);
      }),
    );
    expect({ drop, logged: ours }).toEqual({ drop, logged: theirs });
    expect(ours).toBe(drop !== true);
  }
});

test('what OPA does not log at all because its mask is wrong, the sidecar logs without its content', async () => {
  const body = { input: { secret: 'a secret', mask: ['/labels/app'] } };
  const line = await lineOf(sidecar, 'test/logged/echo', body);
  expect(line.erased).toEqual(['/input', '/result']);
  const { body: answer } = await post(`${opa.url}/v1/data/test/logged/echo`, body);
  await lineOf(opa, 'test/logged/echo', { input: 'next' });
  expect(logged(opa).some(({ decision_id }) => decision_id === answer.decision_id)).toBe(false);
});
