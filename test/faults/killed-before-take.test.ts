import { expect, test } from 'vitest';
import { startSidecar } from '../helpers/services.ts';
import { ask } from '../helpers/sidecar-client.ts';
import { startProxy } from '../helpers/tcp-proxy.ts';
import { STREAM, startRig, used } from './rig.ts';

test('a sidecar killed before its take reaches the store: nothing is charged, and the retry is charged once', {
  timeout: 120_000,
}, async () => {
  const { client, environment, redis } = await startRig();
  const proxy = await startProxy({ target: redis });
  const slow = { ...environment, STORE_TIMEOUT_MS: '30000' };
  const doomed = await startSidecar({ ...slow, REDIS_URL: proxy.url(redis.url) });
  expect((await ask(doomed.url, { tenant_id: 'acme' })).body.result).toBe(true);

  const sent = new Promise<void>((resolve) => {
    proxy.watchCommand('EVALSHA', async (command) => {
      if (!command.some((argument) => argument.includes('order-1'))) return;
      resolve();
      await new Promise(() => {});
    });
  });
  const input = { tenant_id: 'acme', request_id: 'order-1' };
  const lost = ask(doomed.url, input).catch((error: Error) => error);
  await sent;
  await doomed.process.kill('SIGKILL');
  expect(await lost).toBeInstanceOf(Error);
  await proxy.close();
  expect([await client.xLen(STREAM), await used(client)]).toEqual([1, 1]);

  const next = await startSidecar(slow);
  const retried = await ask(next.url, input);
  expect([retried.body.result, retried.body.replayed]).toEqual([true, undefined]);
  expect([await client.xLen(STREAM), await used(client)]).toEqual([2, 2]);
});
