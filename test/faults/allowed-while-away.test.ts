import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createClient, type RedisClientType } from 'redis';
import { beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { BRING_TIMEOUT_MS, bringRedis } from '../helpers/bring.ts';
import { eventually } from '../helpers/eventually.ts';
import { createDatabase } from '../helpers/postgres.ts';
import { startProcess } from '../helpers/process.ts';
import { type RedisServer, startRedis } from '../helpers/redis-server.ts';
import { type Service, startSidecar, startWorker } from '../helpers/services.ts';
import { ask, get, inParallel, post } from '../helpers/sidecar-client.ts';
import { startProxy } from '../helpers/tcp-proxy.ts';
import { tempDir } from '../helpers/temp-dir.ts';

/** `ON_STORE_FAILURE=allow` on real processes: what is allowed while Redis is away is charged once when it is back. */
const CAPACITY = 300;
const BUCKET = { key: 'ocr:{p0}:c:acme:tenant:acme', field: 't:tenant%3Aacme%3Atokens' };

let redis: RedisServer;
let dataDir: string;
let environment: Record<string, string>;

beforeAll(bringRedis, BRING_TIMEOUT_MS);

beforeEach(async () => {
  redis = await startRedis();
  dataDir = await tempDir('data');
  const config = await tempDir('config');
  await writeFile(
    join(config, 'tenants.yaml'),
    `defaults: { capacity: ${CAPACITY}, refill: daily, price_per_token: "0.0001", billing_cycle: { period: month } }\n`,
  );
  environment = {
    REDIS_URL: redis.url,
    CONFIG_DIR: config,
    DATA_DIR: dataDir,
    ON_STORE_FAILURE: 'allow',
    ADMIN_TOKEN: 'admin',
  };
});

interface Asked {
  id: string;
  requestId: string;
  began: number;
  ended: number;
  allow: unknown;
  degraded: unknown;
  status: number;
  rateLimit: string | null;
}

async function asked(sidecar: Service, requestId: string): Promise<Asked> {
  const began = Date.now();
  const { body, headers, status } = await ask(sidecar.url, { tenant_id: 'acme', request_id: requestId });
  const { decision_id: id, degraded, result: allow } = body;
  return { id, requestId, began, ended: Date.now(), allow, degraded, status, rateLimit: headers.get('RateLimit') };
}

const askMany = (sidecar: Service, name: string, times: number, callers = 8) =>
  inParallel(times, callers, (index) => asked(sidecar, `${name}-${index}`));

const isAllowed = ({ allow, status }: Asked) => allow === true && status === 200;

/** As a fail-open answer is: said to be one, and with no numbers. */
const isDegraded = (answer: Asked) => isAllowed(answer) && answer.degraded === true && answer.rateLimit === null;

async function metric(sidecar: Service, name: string): Promise<number> {
  const { body } = await get(`${sidecar.url}/metrics`);
  const lines = (body as string).split('\n').filter((line) => line.startsWith(name));
  return lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
}

const allCharged = (sidecar: Service) =>
  eventually(async () => expect(await metric(sidecar, 'openclaw_owed_pending')).toBe(0), { timeoutMs: 30_000 });

const said = ({ process }: Service, text: string) => process.stdout.filter((line) => line.includes(text));

async function admin(): Promise<RedisClientType> {
  const client = createClient({ url: redis.url }).on('error', () => undefined);
  onTestFinished(() => client.destroy());
  return (await client.connect()) as RedisClientType;
}

/** What Redis has: the usage events, and how much of the bucket is used. */
async function counted() {
  const client = await admin();
  const entries = await client.xRange('ocr:{p0}:usage', '-', '+');
  const events = (entries ?? []).map(({ message }) => JSON.parse(message.e ?? '{}'));
  const bucket = await client.hGet(BUCKET.key, BUCKET.field);
  return { events, used: Number(/\d+/.exec(bucket ?? '')?.[0]) };
}

/** The files of what is owed, of all processes. */
async function files(): Promise<string[]> {
  const entries = await readdir(join(dataDir, 'owed'), { recursive: true });
  return entries.filter((entry) => entry.endsWith('.owed'));
}

/** Each allowed decision is one event and one token of the bucket, though it holds fewer. */
async function expectCharged(answers: Asked[]): Promise<void> {
  const { events, used } = await counted();
  expect(answers.length).toBeGreaterThan(CAPACITY);
  expect(used).toBe(answers.length);
  expect(events.map((event) => event.id).toSorted()).toEqual(answers.map(({ id }) => `${id}:consumed`).toSorted());
  const byDecision = new Map(answers.map((answer) => [answer.id, answer]));
  for (const event of events) {
    const answer = byDecision.get(event.decision_id);
    expect(event.request_id).toBe(answer?.requestId);
    if (!event.degraded) continue;
    expect(answer?.degraded).toBe(true);
    expect(event.decided_at).toBeGreaterThanOrEqual(answer?.began ?? Number.POSITIVE_INFINITY);
    expect(event.decided_at).toBeLessThanOrEqual(answer?.ended ?? 0);
  }
}

describe('Redis goes away under load', { timeout: 90_000 }, () => {
  test('killed: every answer is yes; after its restart each of them is charged once, into debt', async () => {
    const sidecar = await startSidecar(environment);
    const before = await askMany(sidecar, 'before', 50);
    expect(before.every((answer) => isAllowed(answer) && answer.degraded === undefined)).toBe(true);

    let answered = 0;
    const under = inParallel(600, 16, async (index) => {
      const answer = await asked(sidecar, `under-${index}`);
      answered += 1;
      return answer;
    });
    await eventually(() => expect(answered).toBeGreaterThan(50), { intervalMs: 1 });
    await redis.kill();
    const answers = await under;
    expect(answers.filter((answer) => !isAllowed(answer))).toEqual([]);
    expect(answers.filter(isDegraded).length).toBeGreaterThan(100);
    const later = await askMany(sidecar, 'later', 200);
    expect(later.filter((answer) => !isDegraded(answer))).toEqual([]);
    expect(await metric(sidecar, 'openclaw_owed_pending')).toBeGreaterThanOrEqual(300);
    expect(await metric(sidecar, 'openclaw_degraded_decisions_total')).toBeGreaterThanOrEqual(300);
    expect(said(sidecar, 'requests are allowed without being counted')).toHaveLength(1);

    await redis.restart();
    await allCharged(sidecar);
    await expectCharged([...before, ...answers, ...later]);
    const { events } = await counted();
    expect(events.filter((event) => event.degraded).length).toBeGreaterThanOrEqual(300);
    expect(said(sidecar, 'what was allowed while the counters were away is charged')).toHaveLength(1);
    await eventually(async () => expect(await files()).toEqual([]));
    const denied = await asked(sidecar, 'after');
    expect(denied).toMatchObject({ allow: false, degraded: undefined });
    // The same request again is what it was, now from the records of the store.
    const [first] = later;
    const again = await ask(sidecar.url, { tenant_id: 'acme', request_id: first?.requestId });
    expect(again.body).toEqual({ result: true, decision_id: first?.id, replayed: true });
  });

  test('frozen: what was under way and what was only allowed are both charged once', async () => {
    const sidecar = await startSidecar(environment);
    let answered = 0;
    const under = inParallel(500, 64, async (index) => {
      const answer = await asked(sidecar, `under-${index}`);
      answered += 1;
      return answer;
    });
    await eventually(() => expect(answered).toBeGreaterThan(30), { intervalMs: 1 });
    await redis.kill('SIGSTOP');
    const answers = await under;
    await redis.kill('SIGCONT');
    await allCharged(sidecar);
    expect(answers.filter((answer) => !isAllowed(answer))).toEqual([]);
    expect(answers.filter(isDegraded).length).toBeGreaterThan(100);
    await expectCharged(answers);
  });
});

describe('the sidecar ends while Redis is away', { timeout: 90_000 }, () => {
  test('killed: the next one on its DATA_DIR knows what was allowed, and charges it', async () => {
    const doomed = await startSidecar(environment);
    await redis.kill();
    const answers = await askMany(doomed, 'doomed', 320);
    expect(answers.filter((answer) => !isDegraded(answer))).toEqual([]);
    await doomed.process.kill('SIGKILL');

    const next = await startSidecar(environment);
    expect(await metric(next, 'openclaw_owed_pending')).toBe(320);
    const [first] = answers;
    const again = await ask(next.url, { tenant_id: 'acme', request_id: first?.requestId });
    expect(again.body).toEqual({ result: true, decision_id: first?.id, replayed: true, degraded: true });
    const other = await ask(next.url, { tenant_id: 'acme', request_id: first?.requestId, model: 'another' });
    expect(other.status).toBe(409);
    await redis.restart();
    await allCharged(next);
    await expectCharged(answers);
    await eventually(async () => expect(await readdir(join(dataDir, 'owed'))).toHaveLength(1));
  });

  test('ended in order: says what is left; the next one charges it, also in deny mode', async () => {
    const first = await startSidecar(environment);
    await redis.kill();
    const answers = await askMany(first, 'first', 310);
    expect(await first.process.stop()).toEqual({ code: 0, signal: null });
    expect(said(first, 'not charged yet; the next start')).toEqual([expect.stringContaining('"pending":310')]);
    await redis.restart();
    const next = await startSidecar({ ...environment, ON_STORE_FAILURE: 'deny' });
    await allCharged(next);
    await expectCharged(answers);
  });

  test('two on one DATA_DIR: only what is left of the dead one is taken over', async () => {
    const [doomed, alive] = await Promise.all([startSidecar(environment), startSidecar(environment)]);
    await redis.kill();
    const answers = [...(await askMany(doomed, 'doomed', 150)), ...(await askMany(alive, 'alive', 100))];
    await doomed.process.kill('SIGKILL');
    const next = await startSidecar(environment);
    expect(await metric(next, 'openclaw_owed_pending')).toBe(150);
    // The file of the one that lives is its own, and it goes on writing there.
    answers.push(...(await askMany(alive, 'more', 60)), ...(await askMany(next, 'next', 40)));
    expect(answers.filter((answer) => !isDegraded(answer))).toEqual([]);
    expect(await metric(alive, 'openclaw_owed_pending')).toBe(160);
    await redis.restart();
    await Promise.all([allCharged(alive), allCharged(next)]);
    await expectCharged(answers);
    await eventually(async () => expect(await files()).toEqual([]));
  });
});

describe('a take that was carried out, and whose answer is lost', { timeout: 120_000 }, () => {
  /** What Redis and the ledger have of it, once it was charged as allowed. */
  async function lost(input: { tenant_id: string; request_id?: string }) {
    const proxy = await startProxy({ target: redis });
    const database = await createDatabase();
    const sidecar = await startSidecar({ ...environment, REDIS_URL: proxy.url(redis.url) });
    expect((await ask(sidecar.url, { tenant_id: 'warm-up' })).body.result).toBe(true);
    const client = await admin();
    const before = await client.xLen('ocr:{p0}:usage');
    proxy.hold('toClient');
    const { body } = await ask(sidecar.url, input);
    expect(body).toMatchObject({ result: true, degraded: true });
    expect(await client.xLen('ocr:{p0}:usage')).toBe(before + 1);
    proxy.release();
    await allCharged(sidecar);
    const { events, used } = await counted();
    const ids = events.filter((event) => event.tenant_id === 'acme').map(({ id }) => id);
    const worker = await startWorker({ ...environment, DATABASE_URL: database.url });
    await eventually(async () => expect(await client.xLen('ocr:{p0}:usage')).toBe(0), { timeoutMs: 30_000 });
    const usage = await get(`${worker.url}/v1/usage?tenant_id=acme`, { Authorization: 'Bearer admin' });
    return { ids, used, ledger: usage.body.data[0] };
  }

  test('with a request id: counted and billed once', async () => {
    const { ids, ledger, used } = await lost({ tenant_id: 'acme', request_id: 'order-1' });
    expect([ids.length, used]).toEqual([1, 1]);
    expect(ledger).toMatchObject({ requests: 1, tokens: 1, cost_usd: '0.0001' });
  });

  test('without one it is known by the call that was lost: counted and billed once', async () => {
    const { ids, ledger, used } = await lost({ tenant_id: 'acme' });
    expect([ids.length, new Set(ids).size, used]).toEqual([1, 1, 1]);
    expect(ledger).toMatchObject({ requests: 1, tokens: 1, cost_usd: '0.0001' });
  });
});

describe('what it used', { timeout: 60_000 }, () => {
  const bucket = {
    id: 'bucket',
    subject: { type: 'tenant', id: 'acme' },
    unit: 'tokens',
    kind: 'token_bucket',
    capacity: 100,
    cost: 40,
    settles: true,
    refill: { amount: 100, per_seconds: 86_400, mode: 'interval' },
  };
  const decide = (sidecar: Service) =>
    post(`${sidecar.url}/v1/data/test/metered/decision`, { input: { tenant_id: 'acme', limits: [bucket] } });
  const report = (sidecar: Service, decision_id: string, input: number) =>
    post(`${sidecar.url}/v1/usage`, { decision_id, outcome: 'succeeded', usage: { input } });

  test('is reported again until it is charged: 503, then settled', async () => {
    const sidecar = await startSidecar({ ...environment, POLICY_BUNDLE: 'test/policies/metered.tar.gz' });
    await redis.kill();
    const { body } = await decide(sidecar);
    expect(body).toMatchObject({ result: { allow: true }, degraded: true });
    const early = await report(sidecar, body.decision_id, 70);
    expect([early.status, early.headers.get('Retry-After')]).toEqual([503, '1']);
    await redis.restart();
    const settled = await eventually(
      async () => {
        const reply = await report(sidecar, body.decision_id, 70);
        expect(reply.status).not.toBe(404);
        expect(reply.status).toBe(200);
        return reply;
      },
      { timeoutMs: 20_000 },
    );
    expect(settled.body).toMatchObject({ state: 'settled', changes: [{ id: 'bucket', amount: 30 }] });
    const { events } = await counted();
    expect(events.map(({ degraded, type }) => [type, degraded])).toEqual([
      ['reserved', true],
      ['settled', undefined],
    ]);
  });
});

describe('at the start', { timeout: 60_000 }, () => {
  test('a DATA_DIR that cannot be written is refused, with what to do', async () => {
    const file = join(dataDir, 'a-file');
    await writeFile(file, '');
    const sidecar = await startProcess({
      script: 'dist/sidecar/main.js',
      env: { ...environment, PORT: '0', DATA_DIR: file },
    });
    expect((await sidecar.exited).code).toBe(1);
    const output = sidecar.output.join('\n');
    expect(output).toMatch(/ON_STORE_FAILURE=allow.*nothing can be written to .*a-file/);
    expect(output).toContain('set ON_STORE_FAILURE to deny');
  });

  test('what is written is for its owner alone, and names no input', async () => {
    const sidecar = await startSidecar(environment);
    await redis.kill();
    await ask(sidecar.url, { tenant_id: 'acme', prompt: 'a secret prompt', messages: [{ text: 'another secret' }] });
    const [path = ''] = await files();
    const { mode } = await stat(join(dataDir, 'owed', path));
    expect(mode & 0o777).toBe(0o600);
    const text = await readFile(join(dataDir, 'owed', path), 'utf8');
    expect(text).toContain('"tenant_id":"acme"');
    expect(text).not.toContain('secret');
  });

  test('deny mode makes no folder, and denies', async () => {
    const sidecar = await startSidecar({ ...environment, ON_STORE_FAILURE: 'deny' });
    await redis.kill();
    const denied = await askMany(sidecar, 'denied', 50);
    expect(denied.filter(({ allow, degraded }) => allow !== false || degraded !== undefined)).toEqual([]);
    expect(await readdir(dataDir)).toEqual([]);
  });
});
