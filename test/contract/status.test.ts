import { rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { BRING_TIMEOUT_MS, bringOpa } from '../helpers/bring.ts';
import { eventually } from '../helpers/eventually.ts';
import { LogReceiver } from '../helpers/log-receiver.ts';
import { startOpa } from '../helpers/opa-server.ts';
import { type RedisServer, startRedis } from '../helpers/redis-server.ts';
import { type Service, startSidecar } from '../helpers/services.ts';
import { get, post } from '../helpers/sidecar-client.ts';
import { tempDir } from '../helpers/temp-dir.ts';

/** What `/v1/status`, `/v1/config` and `/health?plugins` say of labels and decision logs, beside what a real OPA says. */
let redis: RedisServer;

beforeAll(async () => {
  await bringOpa();
  redis = await startRedis();
}, BRING_TIMEOUT_MS);

const LABELS = { region: 'eu', app: 'checkout' };

const startLogging = async (more: Record<string, string>): Promise<Service> =>
  startSidecar({
    REDIS_URL: redis.url,
    DATA_DIR: await tempDir('data'),
    STORE_TIMEOUT_MS: '5000',
    DECISION_LOG_LABELS: 'region=eu,app=checkout',
    DECISION_LOG_TOKEN: 'secret',
    ...more,
  });

async function startOpaLogging(url: string): Promise<string> {
  const config = join(await tempDir('opa'), 'config.yaml');
  const reporting = { min_delay_seconds: 1, max_delay_seconds: 1 };
  await writeFile(
    config,
    JSON.stringify({
      labels: LABELS,
      services: { logs: { url: `${url}/` } },
      decision_logs: { service: 'logs', reporting },
      status: { service: 'logs' },
    }),
  );
  return (await startOpa({ args: ['--config-file', config] })).url;
}

const status = async (url: string) => (await get(`${url}/v1/status`)).body.result;

const decide = (url: string, more: object = {}) =>
  post(`${url}/v1/data/openclaw/rate_limit/allow`, { input: { tenant_id: 'acme', ...more } });

test('the operator’s labels are beside the process’s own, in status and configuration', async () => {
  const receiver = await LogReceiver.start();
  const sidecar = await startLogging({ DECISION_LOG_LABELS: 'region=eu,app=checkout,id=forged,version=forged' });
  for (const url of [sidecar.url, await startOpaLogging(receiver.url)]) {
    const { labels } = await status(url);
    expect(labels).toEqual({
      ...LABELS,
      id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      version: expect.stringMatching(/^\d+\./),
    });
    expect((await get(`${url}/v1/config`)).body.result.labels).toEqual(labels);
  }
});

test('where decisions are not logged there is nothing of it', async () => {
  const { url } = await startLogging({});
  expect(await status(url)).not.toHaveProperty('decision_logs');
  expect((await status(url)).plugins).toEqual({ bundle: { state: 'OK' } });
});

describe('an upload', () => {
  const OK = { state: 'OK' };

  test('that fails is told as OPA tells it, until one does not', { timeout: 60_000 }, async () => {
    const receiver = await LogReceiver.start();
    const sidecar = await startLogging({ DECISION_LOGS: 'http', DECISION_LOG_URL: receiver.url });
    const both = [sidecar.url, await startOpaLogging(receiver.url)];
    for (const url of both)
      expect(await status(url)).toMatchObject({ decision_logs: {}, plugins: { decision_logs: OK } });

    const expectFailing = async (message: RegExp, http_code?: number) => {
      for (const url of both) {
        await decide(url);
        const { decision_logs: told, plugins } = await eventually(async () => {
          const now = await status(url);
          expect(now.decision_logs.message).toMatch(message);
          return now;
        });
        expect(told).toEqual({ code: 'decision_log_error', message: told.message, ...(http_code && { http_code }) });
        // Nothing is lost: it waits.
        expect(plugins.decision_logs).toEqual(OK);
        expect((await get(`${url}/health?plugins`)).status).toBe(200);
      }
    };
    receiver.faultAt = () => 503;
    await expectFailing(/^log upload failed, server replied with HTTP 503/, 503);
    await receiver.down();
    await expectFailing(/^log upload failed: .*(ECONNREFUSED|connection refused)/);
    receiver.faultAt = () => undefined;
    await receiver.up();
    for (const url of both) {
      await eventually(async () => expect((await status(url)).decision_logs).toEqual({}), { timeoutMs: 20_000 });
    }
    expect(JSON.stringify(await status(sidecar.url))).not.toContain('secret');
  });

  test('that cannot be kept any longer is an error of the plugin', { timeout: 60_000 }, async () => {
    const receiver = await LogReceiver.start();
    receiver.faultAt = () => 503;
    const { url } = await startLogging({
      DECISION_LOGS: 'http',
      DECISION_LOG_URL: receiver.url,
      DECISION_LOG_CONTENT: 'full',
      DECISION_LOG_SPOOL_BYTES: '65536',
    });
    const text = 'x'.repeat(20_000);
    await eventually(async () => {
      await decide(url, { text });
      expect((await status(url)).plugins.decision_logs.state).toBe('ERROR');
    });
    const { decision_logs, plugins } = await status(url);
    const message = expect.stringMatching(/spool of decision logs is full .*the oldest go/);
    expect(plugins).toEqual({ bundle: OK, decision_logs: { state: 'ERROR', message } });
    expect(decision_logs).toEqual({ code: 'decision_log_error', message });
    const health = await get(`${url}/health?plugins`);
    expect([health.status, health.body.error]).toEqual([500, 'one or more plugins are not up: decision_logs']);
    expect((await get(`${url}/health?plugins&exclude-plugin=decision_logs`)).status).toBe(200);
    expect((await get(`${url}/health?bundles`)).status).toBe(200);
    // When the service takes them again, there is room again.
    receiver.faultAt = () => undefined;
    await eventually(
      async () => {
        await decide(url);
        expect(await status(url)).toMatchObject({ decision_logs: {}, plugins: { decision_logs: OK } });
        expect((await status(url)).decision_logs).toEqual({});
      },
      { timeoutMs: 30_000 },
    );
    expect((await get(`${url}/health?plugins`)).status).toBe(200);
  });
});

test('a file that cannot be written is an error of the plugin, as long as it cannot', { timeout: 60_000 }, async () => {
  const data = await tempDir('data');
  const { url } = await startLogging({
    DECISION_LOGS: 'file',
    DATA_DIR: data,
    DECISION_LOG_CONTENT: 'full',
    DECISION_LOG_FILE_BYTES: '4096',
  });
  const state = async () => {
    await decide(url, { text: 'x'.repeat(3_000) });
    return (await status(url)).plugins.decision_logs;
  };
  const folder = join(data, 'decision-logs', 'files');
  expect(await state()).toEqual({ state: 'OK' });
  await rename(folder, `${folder}.away`);
  await writeFile(folder, 'not a folder');
  const message = expect.stringMatching(/^decisions cannot be written to their file: ENOTDIR/);
  await eventually(async () => expect(await state()).toEqual({ state: 'ERROR', message }));
  expect((await get(`${url}/health?plugins`)).status).toBe(500);
  await rm(folder);
  await rename(`${folder}.away`, folder);
  await eventually(async () => expect(await state()).toEqual({ state: 'OK' }));
  expect((await get(`${url}/health?plugins`)).status).toBe(200);
});
