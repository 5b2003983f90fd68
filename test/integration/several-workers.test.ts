import { beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../helpers/eventually.ts';
import { startProcess } from '../helpers/process.ts';
import { startRedis } from '../helpers/redis-server.ts';
import { type Service, startSidecar } from '../helpers/services.ts';
import { tempDir } from '../helpers/temp-dir.ts';

const DECIDE = '/v1/data/openclaw/rate_limit/allow';

/** On a connection of its own, so that another worker may get it. */
const ask = (url: string) =>
  fetch(`${url}${DECIDE}`, {
    method: 'POST',
    headers: { connection: 'close' },
    body: JSON.stringify({ input: { tenant_id: 'acme' } }),
  });

/** How many decisions each worker has made, by its number. */
async function decisionsOf(url: string): Promise<Map<string, number>> {
  const text = await (await fetch(`${url}/metrics`, { headers: { connection: 'close' } })).text();
  const lines = text.matchAll(/^openclaw_decisions_total\{[^}]*reason="ok"[^}]*worker="(\d)"[^}]*\} (\d+)$/gm);
  return new Map([...lines].map(([, worker = '', count]) => [worker, Number(count)]));
}

describe('several workers on one port', () => {
  let sidecar: Service;

  beforeAll(async () => {
    const redis = await startRedis();
    const DRAIN_MS = '2000';
    sidecar = await startSidecar({ REDIS_URL: redis.url, WORKERS: '2', DRAIN_MS, DATA_DIR: await tempDir() });
    await sidecar.process.waitForLine(/all workers are there/, 60_000);
  });

  test('share the work and the counters, and any of them tells the metrics of all', async () => {
    for (let n = 0; n < 10; n++) expect(await (await ask(sidecar.url)).json()).toMatchObject({ result: true });
    await eventually(async () => {
      const decisions = await decisionsOf(sidecar.url);
      expect([...decisions.keys()].toSorted()).toEqual(['1', '2']);
      expect([...decisions.values()].reduce((sum, count) => sum + count, 0)).toBe(10);
    });
  });

  test('one that is killed is replaced, and nobody is turned away meanwhile', async () => {
    const { pid } = JSON.parse(await sidecar.process.waitForLine(/"worker":2,"pid":\d+/));
    process.kill(pid, 'SIGKILL');
    await sidecar.process.waitForLine(/a worker has ended, and is started again/, 10_000);
    for (let n = 0; n < 5; n++) expect((await ask(sidecar.url)).status).toBe(200);
    const there = () => sidecar.process.stdout.filter((line) => /"worker":2,"pid":\d+/.test(line));
    await eventually(() => expect(there()).toHaveLength(2));
  });

  test('a signal fails nobody who asks until readiness ends, and ends all with 0', async () => {
    const ready = async () => (await fetch(`${sidecar.url}/health/ready`, { headers: { connection: 'close' } })).ok;
    const statuses: number[] = [];
    const asking = (async () => {
      while (await ready()) statuses.push((await ask(sidecar.url)).status);
    })();
    await eventually(() => expect(statuses.length).toBeGreaterThan(10));
    await sidecar.process.kill('SIGTERM');
    await asking;
    expect(await sidecar.process.exited).toMatchObject({ code: 0 });
    expect(statuses.filter((status) => status !== 200)).toEqual([]);
  });
});

test('what is wrong with the configuration is said once', async () => {
  const sidecar = await startProcess({
    script: 'dist/sidecar/main.js',
    env: { WORKERS: '3', PORT: '0', REDIS_URL: 'redis://127.0.0.1:1', CONFIG_DIR: '/not/there' },
  });
  expect(await sidecar.exited).toMatchObject({ code: 1 });
  expect(sidecar.output.filter((line) => line.includes('/not/there: there is no such folder'))).toHaveLength(1);
});

test('the embedded store belongs to one process', async () => {
  const all = await startProcess({ script: 'dist/runtime/start.js', env: { WORKERS: '2', DATA_DIR: await tempDir() } });
  expect(await all.exited).toMatchObject({ code: 1 });
  expect(all.output.join('\n')).toContain('WORKERS: `npm start` runs both services in one process');
});
