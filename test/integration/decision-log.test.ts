import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { packageRoot } from '../../runtime/package-root.ts';
import type { DecisionEvent } from '../../sidecar/decision-log/event.ts';
import { BRING_TIMEOUT_MS } from '../helpers/bring.ts';
import { Child } from '../helpers/child.ts';
import { eventually } from '../helpers/eventually.ts';
import { LogReceiver } from '../helpers/log-receiver.ts';
import { type RedisServer, startRedis } from '../helpers/redis-server.ts';
import { type Service, startSidecar } from '../helpers/services.ts';
import { get, inParallel, post } from '../helpers/sidecar-client.ts';
import { tempDir } from '../helpers/temp-dir.ts';

const BUNDLE = join(packageRoot, 'test/policies/logged.tar.gz');
const SECRET = 'correct horse battery staple';

let redis: RedisServer;

beforeAll(async () => {
  redis = await startRedis();
}, BRING_TIMEOUT_MS);

afterAll(() => redis.stop());

const start = async (environment: Record<string, string>): Promise<Service & { dataDir: string }> => {
  const dataDir = await tempDir('decision-log');
  const service = await startSidecar({
    REDIS_URL: redis.url,
    POLICY_BUNDLE: BUNDLE,
    POLICY_TIMEOUT_MS: '10000',
    DATA_DIR: dataDir,
    ...environment,
  });
  return { ...service, dataDir };
};

const toHttp = (receiver: LogReceiver) => ({
  DECISION_LOGS: 'http',
  DECISION_LOG_URL: receiver.url,
  DECISION_LOG_TOKEN: 't',
});

const echo = (sidecar: string, input: unknown) => post(`${sidecar}/v1/data/test/logged/echo`, { input });
const allow = (sidecar: string, input: object, query = '') =>
  post(`${sidecar}/v1/data/test/logged/allow${query}`, { input: { estimated_tokens: 10, ...input } });

/** The decision logs on standard output. */
const onConsole = ({ process }: Service) =>
  process.stdout
    .filter((line) => line.includes('"type":"openpolicyagent.org/decision_logs"'))
    .map((line) => JSON.parse(line) as DecisionEvent & { msg: string });

/** One number of `/metrics`. */
async function metric(sidecar: string, name: string): Promise<number> {
  const { body } = await get(`${sidecar}/metrics`);
  const line = (body as string).split('\n').find((each) => each.startsWith(`openclaw_decision_log_${name} `));
  return Number(line?.split(' ').at(-1));
}

const dropped = (sidecar: string, reason: string) => metric(sidecar, `dropped_total{reason="${reason}"}`);

async function textsIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  return Promise.all(files.map(({ name, parentPath }) => readFile(join(parentPath, name), 'utf8')));
}

test('off: a plain evaluation has no id, and nothing is logged or kept', async () => {
  const sidecar = await start({});
  expect((await echo(sidecar.url, { a: 1 })).body).toEqual({ result: { a: 1 } });
  expect((await allow(sidecar.url, { tenant_id: 'off' })).body).toMatchObject({
    result: true,
    decision_id: expect.any(String),
  });
  await sidecar.process.stop();
  expect(onConsole(sidecar)).toEqual([]);
  expect(await readdir(sidecar.dataDir)).not.toContain('decision-logs');
});

test('console, file and http have the same of every decision, with the id of its answer', async () => {
  const receiver = await LogReceiver.start();
  const sidecar = await start({
    ...toHttp(receiver),
    DECISION_LOGS: 'console,file,http',
    DECISION_LOG_LABELS: 'app=checkout',
  });
  const answers = [
    await echo(sidecar.url, { tenant_id: 'three' }),
    await post(`${sidecar.url}/v1/data/test/nothing`, {}),
    await allow(sidecar.url, { tenant_id: 'three', request_id: 'q1', run_id: 'r1' }),
    await get(
      `${sidecar.url}/v1/data/test/logged/allow?input=${encodeURIComponent('{"tenant_id":"three","estimated_tokens":1}')}`,
    ),
  ];
  await eventually(() => expect(receiver.events).toHaveLength(4));
  expect(receiver.ids).toEqual(answers.map(({ body }) => body.decision_id));
  expect(new Set(receiver.ids).size).toBe(4);
  const [, missing, metered, dry] = receiver.events;
  expect(missing).toEqual({
    labels: { app: 'checkout', id: expect.any(String), version: expect.stringMatching(/^\d+\.\d+\.\d+/) },
    decision_id: expect.any(String),
    bundles: { policy: { revision: expect.any(String) } },
    path: 'test/nothing',
    requested_by: expect.stringMatching(/^127\.0\.0\.1:\d+$/),
    timestamp: expect.stringMatching(/^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
    metrics: { timer_server_handler_ns: expect.any(Number) },
    req_id: 2,
  });
  expect(metered).toMatchObject({
    input: { tenant_id: 'three', estimated_tokens: 10, request_id: 'q1', run_id: 'r1' },
    result: true,
    openclaw: {
      package: 'test/logged',
      allow: true,
      reason: 'ok',
      status: 200,
      granted: true,
      limits: [{ id: 'tenant:three', capacity: 1_000, before: 0, used: 10, remaining: 990, granted: true }],
    },
  });
  expect(dry).toMatchObject({ openclaw: { dry_run: true, limits: [{ before: 10 }] } });
  const file = await readFile(join(sidecar.dataDir, 'decision-logs/files/decisions.jsonl'), 'utf8');
  expect(
    file
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line)),
  ).toEqual(receiver.events);
  expect(onConsole(sidecar)).toEqual(
    receiver.events.map((event) => expect.objectContaining({ ...event, msg: 'Decision Log' })),
  );
  expect((await stat(join(sidecar.dataDir, 'decision-logs/files/decisions.jsonl'))).mode & 0o777).toBe(0o600);
  const config = await get(`${sidecar.url}/metrics`);
  expect(config.body).toContain('openclaw_decision_log_decisions_total 4\n');
});

describe('a prompt', () => {
  const input = { tenant_id: 'quiet', user_id: 'alice', prompt: SECRET, messages: [{ content: SECRET }], [SECRET]: 1 };

  test('is in no log, spool or upload: not of the input, the result, the message of a decision', async () => {
    const receiver = await LogReceiver.start();
    await receiver.down();
    const sidecar = await start({ ...toHttp(receiver), DECISION_LOGS: 'console,file,http' });
    const asked = ['echo', 'allow', 'decision', '', 'echo/prompt', 'plan'];
    for (const document of asked) {
      const { body } = await post(`${sidecar.url}/v1/data/test/logged/${document}`.replace(/\/$/, ''), {
        input: { estimated_tokens: 1, ...input },
      });
      if (document === 'echo' || document === 'decision') expect(JSON.stringify(body)).toContain(SECRET);
    }
    await post(`${sidecar.url}/v1/data/test/logged/echo`, { input: SECRET });
    await eventually(async () => expect(await metric(sidecar.url, 'spooled')).toBe(asked.length + 1));
    const spool = await textsIn(join(sidecar.dataDir, 'decision-logs'));
    expect(spool.join().match(/"path":"test/g)?.length).toBe(2 * (asked.length + 1));
    await receiver.up();
    await eventually(() => expect(receiver.events).toHaveLength(asked.length + 1), { timeoutMs: 20_000 });
    const [first, , decision] = receiver.events;
    expect(first).toMatchObject({
      input: { tenant_id: 'quiet', user_id: 'alice', estimated_tokens: 1 },
      erased: ['/input/*', '/input/messages', '/input/prompt', '/result'],
    });
    expect(decision).toMatchObject({ openclaw: { allow: true, reason: 'ok', status: 200 } });
    expect(decision).not.toHaveProperty('result');
    const everything = [spool, receiver.events, sidecar.process.output].map((each) => JSON.stringify(each));
    expect(everything.join()).not.toContain(SECRET);
  });

  test('is logged where the operator wants all of the input, which is said loudly, and masked before it is written', async () => {
    const receiver = await LogReceiver.start();
    await receiver.down();
    const sidecar = await start({ ...toHttp(receiver), DECISION_LOG_CONTENT: 'full' });
    expect(sidecar.process.output.join()).toContain('also what may be a prompt');
    await echo(sidecar.url, { open: SECRET });
    const mask = ['/input/prompt', { op: 'upsert', path: '/input/messages', value: '**' }, '/result', '/input/mask'];
    await echo(sidecar.url, { prompt: 'masked secret', messages: ['masked secret'], mask });
    await eventually(async () => expect(await metric(sidecar.url, 'spooled')).toBe(2));
    const spool = (await textsIn(join(sidecar.dataDir, 'decision-logs'))).join();
    expect(spool).toContain(SECRET);
    expect(spool).not.toContain('masked secret');
    await receiver.up();
    await eventually(() => expect(receiver.events).toHaveLength(2), { timeoutMs: 20_000 });
    expect(receiver.events[1]).toMatchObject({
      input: { messages: '**' },
      erased: ['/input/prompt', '/result', '/input/mask'],
      masked: ['/input/messages'],
    });
  });
});

describe('what the policy says of its logs', () => {
  test('a decision that it drops is counted, and one that it cannot mask is logged without content', async () => {
    const receiver = await LogReceiver.start();
    const full = { ...toHttp(receiver), DECISION_LOG_CONTENT: 'full', POLICY_TIMEOUT_MS: '1000' };
    const sidecar = await start(full);
    const bad = [
      { mask: { '/input': true } },
      { mask: ['/labels'] },
      { mask: [7] },
      { mask: false },
      { break_mask: true },
      { loop: true },
    ];
    for (const more of bad) {
      const { body } = await echo(sidecar.url, { prompt: SECRET, ...more });
      expect(body.result.prompt).toBe(SECRET);
    }
    await allow(sidecar.url, { tenant_id: 'unmasked', mask: 7 });
    await echo(sidecar.url, { prompt: SECRET, drop: true });
    await echo(sidecar.url, { kept: 1, drop: 'yes' });
    await eventually(() => expect(receiver.events).toHaveLength(bad.length + 2), { timeoutMs: 20_000 });
    for (const event of receiver.events.slice(0, bad.length)) {
      expect(event).toMatchObject({ path: 'test/logged/echo', erased: ['/input', '/result'] });
      expect(event).not.toHaveProperty('input');
      expect(event).not.toHaveProperty('result');
    }
    expect(receiver.events[bad.length]?.erased).toEqual(['/input', '/result', '/openclaw']);
    expect(receiver.events.at(-1)).toMatchObject({ input: { kept: 1, drop: 'yes' } });
    expect(JSON.stringify([receiver.events, sidecar.process.output])).not.toContain(SECRET);
    expect(await metric(sidecar.url, 'mask_failures_total')).toBe(bad.length + 1);
    expect(await dropped(sidecar.url, 'policy')).toBe(1);
    expect(await metric(sidecar.url, 'decisions_total')).toBe(bad.length + 3);
  });
});

test('a mask that never ends holds up no decision', async () => {
  const receiver = await LogReceiver.start();
  const sidecar = await start({ ...toHttp(receiver), POLICY_TIMEOUT_MS: '2000' });
  const asked = await inParallel(30, 10, () =>
    allow(sidecar.url, { tenant_id: 'busy', loop: true, estimated_tokens: 1 }),
  );
  // With one thread for both, the last would have waited for the time limit and been denied for it.
  expect(asked.map(({ body }) => body.result)).toEqual(Array(30).fill(true));
  expect(await metric(sidecar.url, 'queued')).toBeGreaterThan(0);
  await sidecar.process.kill();
});

describe('killed at any moment', () => {
  test('what is spooled is uploaded by the next start, each once', async () => {
    const receiver = await LogReceiver.start();
    await receiver.down();
    const first = await start(toHttp(receiver));
    const answers = await inParallel(500, 8, (n) => echo(first.url, { tenant_id: 'killed', input_tokens: n }));
    await eventually(async () => expect(await metric(first.url, 'spooled')).toBe(500));
    expect(await metric(first.url, 'queued')).toBe(0);
    await first.process.kill('SIGKILL');
    await receiver.up();
    await startSidecar({ REDIS_URL: redis.url, POLICY_BUNDLE: BUNDLE, DATA_DIR: first.dataDir, ...toHttp(receiver) });
    await eventually(() => expect(receiver.events).toHaveLength(500), { timeoutMs: 20_000 });
    expect(receiver.ids.toSorted()).toEqual(answers.map(({ body }) => body.decision_id).toSorted());
  });

  test('and a shutdown in the middle of it loses none either', async () => {
    const receiver = await LogReceiver.start();
    const sidecar = await start(toHttp(receiver));
    const answers = await inParallel(300, 8, (n) => echo(sidecar.url, { tenant_id: 'stopped', input_tokens: n }));
    expect(await sidecar.process.stop()).toEqual({ code: 0, signal: null });
    expect(receiver.ids.toSorted()).toEqual(answers.map(({ body }) => body.decision_id).toSorted());
  });
});

test('a second process on one DATA_DIR says what to do about the file', async () => {
  const { dataDir } = await start({ DECISION_LOGS: 'file' });
  const second = new Child(process.execPath, {
    args: [join(packageRoot, 'dist/sidecar/main.js')],
    env: { PORT: '0', REDIS_URL: redis.url, POLICY_BUNDLE: BUNDLE, DATA_DIR: dataDir, DECISION_LOGS: 'file' },
    cwd: packageRoot,
  });
  expect(await second.exited).toMatchObject({ code: 1 });
  expect(second.output.join()).toContain('another process writes its decision log there');
});
