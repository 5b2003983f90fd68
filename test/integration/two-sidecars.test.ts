import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createClient } from 'redis';
import { beforeAll, expect, test } from 'vitest';
import { usageStreamKey } from '../../schemas/usage-stream.ts';
import { BRING_TIMEOUT_MS, bringHaproxy } from '../helpers/bring.ts';
import { eventually } from '../helpers/eventually.ts';
import { startRedis } from '../helpers/redis-server.ts';
import { startSidecar } from '../helpers/services.ts';
import { startShippedHaproxy } from '../helpers/shipped-gateways.ts';
import { inParallel, post, type Reply } from '../helpers/sidecar-client.ts';
import { startProxy } from '../helpers/tcp-proxy.ts';
import { tempDir } from '../helpers/temp-dir.ts';
import { atTestEnd } from '../helpers/test-end.ts';

const CALLERS = 32;
const CAPACITY = 500;
const REQUESTS = 800;
/** Answers before the sidecar is killed: the capacity is not spent then. */
const BEFORE = 150;
const MOST_TRIES = 5;

beforeAll(() => bringHaproxy(), BRING_TIMEOUT_MS);

/**
 * Two sidecars on one Redis, behind the HAProxy that is shipped. `strand` lets no more answers of Redis through to one of
 * them: what it takes is charged and unanswered, until `kill`.
 */
async function pair() {
  const redis = await startRedis();
  const client = await createClient({ url: redis.url }).connect();
  atTestEnd(() => client.destroy());
  const proxy = await startProxy({ target: { host: '127.0.0.1', port: redis.port } });
  const CONFIG_DIR = await configured();
  const environment = { CONFIG_DIR, STORE_TIMEOUT_MS: '60000', POLICY_TIMEOUT_MS: '20000' };
  const [doomed, other] = await Promise.all([
    startSidecar({ ...environment, DATA_DIR: await tempDir('data'), REDIS_URL: `redis://127.0.0.1:${proxy.port}` }),
    startSidecar({ ...environment, DATA_DIR: await tempDir('data'), REDIS_URL: redis.url }),
  ]);
  const { url } = await startShippedHaproxy(new URL(doomed.url).host, new URL(other.url).host);
  return {
    url,
    strand: () => proxy.hold('toClient'),
    kill: () => doomed.process.kill('SIGKILL'),
    charged: () => chargedIn(client),
  };
}

async function configured(): Promise<string> {
  const config = await tempDir('config');
  await writeFile(
    join(config, 'tenants.yaml'),
    `defaults: { capacity: ${CAPACITY}, refill: daily, price_per_token: "0.0001", billing_cycle: { period: month } }\n`,
  );
  return config;
}

/** Ids of the decisions that have taken from the counters, one token each: nothing reads the stream but this. */
async function chargedIn(client: Pick<ReturnType<typeof createClient>, 'xRange'>): Promise<string[]> {
  const entries = (await client.xRange(usageStreamKey(0), '-', '+')) ?? [];
  const events = entries.map(({ message }) => JSON.parse(message.e ?? ''));
  const consumed = events.filter(({ type }) => type === 'consumed');
  expect(consumed.every(({ limits }) => limits.length === 1 && limits[0].amount === 1)).toBe(true);
  return consumed.map(({ decision_id }) => decision_id as string);
}

type Taken = Pick<Reply, 'status' | 'body'>;

/** One try: `undefined` where no answer came of it. */
async function take(url: string, input: object, headers: Record<string, string> = {}): Promise<Taken | undefined> {
  const reply = await post(`${url}/v1/data/openclaw/rate_limit/allow`, { input }, headers).catch(() => undefined);
  return reply?.status === 200 ? reply : undefined;
}

interface Load {
  /** Of each distinct request, in the end. */
  answers: Taken[];
  /** Tries that got no answer. */
  failed: number;
}

/** Callers that try again, each under the id of its request, while one of two sidecars is killed with takes under way. */
async function loadAndKill(shown: (id: string) => { input: object; headers?: Record<string, string> }): Promise<Load> {
  const sidecars = await pair();
  const load: Load = { answers: [], failed: 0 };
  const run = inParallel(REQUESTS, CALLERS, async (index) => {
    const { input, headers } = shown(`request-${index}`);
    for (let tries = 1; tries <= MOST_TRIES; tries++) {
      const answer = await take(sidecars.url, input, headers);
      if (answer) return load.answers.push(answer);
      load.failed++;
    }
    return undefined;
  });
  await eventually(() => expect(load.answers.length).toBeGreaterThan(BEFORE));
  sidecars.strand();
  await stalled(() => load.answers.length);
  await sidecars.kill();
  await run;

  const allowed = load.answers.filter(({ body }) => body.result === true).map(({ body }) => body.decision_id as string);
  expect(load.answers).toHaveLength(REQUESTS);
  expect(allowed).toHaveLength(CAPACITY);
  expect((await sidecars.charged()).toSorted()).toEqual(allowed.toSorted());
  return load;
}

/** Once every caller waits for the stranded sidecar, nothing is answered any more. */
async function stalled(answered: () => number): Promise<void> {
  let before = -1;
  let same = 0;
  await eventually(() => {
    same = answered() === before ? same + 1 : 0;
    before = answered();
    expect(same).toBeGreaterThan(8);
  });
}

const replayed = ({ answers }: Load) => answers.filter(({ body }) => body.replayed === true).length;

test('one of two is killed under load: only what it had under way fails, the retry is answered, no token is spent twice', {
  timeout: 120_000,
}, async () => {
  const load = await loadAndKill((id) => ({ input: { tenant_id: 'acme', request_id: id } }));
  expect(load.failed).toBeGreaterThan(0);
  expect(load.failed).toBeLessThanOrEqual(CALLERS);
  expect(replayed(load)).toBeGreaterThan(0);
});

test('with an Idempotency-Key HAProxy itself asks the other one: nothing fails, no token is spent twice', {
  timeout: 120_000,
}, async () => {
  const load = await loadAndKill((id) => ({ input: { tenant_id: 'acme' }, headers: { 'Idempotency-Key': id } }));
  expect(load.failed).toBe(0);
  expect(replayed(load)).toBeGreaterThan(0);
});

test('a take that bears neither is never sent twice', { timeout: 120_000 }, async () => {
  const sidecars = await pair();
  const ask = () => take(sidecars.url, { tenant_id: 'acme' });
  const warm = await inParallel(4, 1, ask);
  expect(warm.map((answer) => answer?.body.result)).toEqual([true, true, true, true]);
  sidecars.strand();
  let answered = 0;
  const taken = inParallel(CALLERS, CALLERS, () => ask().finally(() => answered++));
  await eventually(() => expect(answered).toBe(CALLERS / 2));
  const charged = await eventually(async () => {
    const ids = await sidecars.charged();
    expect(ids.length).toBeGreaterThan(warm.length + answered);
    return ids;
  });
  await sidecars.kill();
  expect((await taken).filter((answer) => answer === undefined)).toHaveLength(CALLERS / 2);
  expect(await sidecars.charged()).toEqual(charged);
});
