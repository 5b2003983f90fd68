import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { usageStreamKey } from '../../schemas/usage-stream.ts';
import { BRING_TIMEOUT_MS, bringHaproxy, bringRedis } from '../helpers/bring.ts';
import { eventually } from '../helpers/eventually.ts';
import { fullLength } from '../helpers/full-length.ts';
import { type RedisServer, startRedis } from '../helpers/redis-server.ts';
import { startSidecar } from '../helpers/services.ts';
import { startShippedHaproxy } from '../helpers/shipped-gateways.ts';
import { post } from '../helpers/sidecar-client.ts';
import { tempDir } from '../helpers/temp-dir.ts';
import { type Called, call } from './driver/call.ts';
import { PatientRedis } from './driver/patient-redis.ts';
import { Program } from './driver/program.ts';
import { copyProgram } from './driver/program-copy.ts';

const CALLERS = 16;
const ROUNDS = 4;
/** HAProxy looks once a second, and believes the second look. */
const NOTICED_MS = 2_500;

const told: string[] = [];

afterAll(() => {
  if (told.length) console.log(told.join('\n'));
});

async function startSidecars(redis: RedisServer): Promise<Program[]> {
  const root = await copyProgram();
  const start = async () =>
    Program.start({
      root,
      script: 'sidecar/main.js',
      portVariable: 'PORT',
      env: {
        REDIS_URL: redis.url,
        DATA_DIR: await tempDir('data'),
        STORE_TIMEOUT_MS: '10000',
        POLICY_TIMEOUT_MS: '10000',
        DRAIN_MS: '3000',
      },
    });
  return Promise.all([start(), start()]);
}

/** Asks again and again until it is over; half of them with an id, as HAProxy sees it. */
async function load(url: string, isOver: () => boolean): Promise<Called[]> {
  const answers: Called[] = [];
  const caller = async (number: number) => {
    for (let nth = 0; !isOver(); nth++) {
      const headers = { ...(number % 2 && { 'Idempotency-Key': `${number}-${nth}` }) };
      const input = { tenant_id: `tenant-${number}` };
      answers.push(await call(`${url}/v1/data/openclaw/rate_limit/allow`, { headers, body: { input } }));
    }
  };
  await Promise.all(Array.from({ length: CALLERS }, (_, number) => caller(number)));
  return answers;
}

const isAllowed = (called: Called) =>
  'answer' in called && called.answer.status === 200 && called.answer.body.result === true;

test('a stop that has begun is said to balancers, and what comes all the same is answered', async () => {
  const redis = await startRedis();
  const sidecar = await startSidecar({ REDIS_URL: redis.url, DATA_DIR: await tempDir('data'), DRAIN_MS: '1500' });
  const ready = () => fetch(`${sidecar.url}/health/ready`);
  expect((await ready()).status).toBe(200);
  const ended = sidecar.process.kill('SIGTERM');
  const { body, status } = await eventually(async () => {
    const answer = await ready();
    expect(answer.status).toBe(500);
    return { status: answer.status, body: await answer.json() };
  });
  expect({ body, status }).toEqual({ status: 500, body: { error: 'the process is about to end' } });
  const answer = await post(`${sidecar.url}/v1/data/openclaw/rate_limit/allow`, { input: { tenant_id: 'acme' } });
  expect(answer).toMatchObject({ status: 200, body: { result: true } });
  expect(answer.headers.get('connection')).toBe('close');
  await ended;
  expect(await sidecar.process.exited).toMatchObject({ code: 0 });
});

describe.runIf(fullLength)('SIGTERM under load', () => {
  beforeAll(() => Promise.all([bringRedis(), bringHaproxy()]), BRING_TIMEOUT_MS);

  test('two sidecars behind HAProxy, restarted in turn: no request fails', { timeout: 240_000 }, async () => {
    const redis = await startRedis();
    const sidecars = await startSidecars(redis);
    const [first, second] = sidecars.map(({ url }) => new URL(url).host);
    const { url } = await startShippedHaproxy(first ?? '', second ?? '');
    let isOver = false;
    const loading = load(url, () => isOver);
    for (let round = 0; round < ROUNDS; round++) {
      for (const sidecar of sidecars) {
        await sleep(NOTICED_MS);
        await sidecar.kill('SIGTERM');
        await sidecar.up();
      }
    }
    isOver = true;
    const answers = await loading;
    const failed = answers.filter((called) => !isAllowed(called));
    told.push(`${answers.length} requests over ${ROUNDS * 2} restarts, ${failed.length} failed`);
    expect(failed).toEqual([]);
    // Each once: what HAProxy asked twice was asked under its id.
    const redisSays = await PatientRedis.connect(redis.url);
    expect(await redisSays.ask('XLEN', usageStreamKey(0))).toBe(answers.length);
  });
});
