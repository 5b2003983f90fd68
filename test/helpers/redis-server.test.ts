import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { createClient } from 'redis';
import { expect, test } from 'vitest';
import { loadScript } from '../setup/scripts.ts';
import { bringRedis } from './bring.ts';
import { startRedis } from './redis-server.ts';

async function ask<T>(url: string, work: (client: Connected) => Promise<T>): Promise<T> {
  const client = await connected(url);
  try {
    return await work(client);
  } finally {
    client.destroy();
  }
}

const connected = (url: string) => createClient({ url }).connect();
type Connected = Awaited<ReturnType<typeof connected>>;

test('is a real server of at least 7.0 that evicts nothing, and whose append-only file survives kill -9', async () => {
  const redis = await startRedis();
  const { pid } = redis;
  await ask(redis.url, async (client) => {
    const server = await client.info('server');
    expect(Number(/redis_version:(\d+)/.exec(server)?.[1])).toBeGreaterThanOrEqual(7);
    expect(server).toContain(`process_id:${pid}`);
    expect(await client.configGet('maxmemory-policy')).toEqual({ 'maxmemory-policy': 'noeviction' });
    await client.set('kept', 'yes');
  });
  await redis.kill();
  await expect(ask(redis.url, (client) => client.ping())).rejects.toThrow();
  await redis.restart();
  expect(redis.pid).not.toBe(pid);
  expect(await ask(redis.url, (client) => client.get('kept'))).toBe('yes');
});

test('without an append-only file nothing survives', async () => {
  const redis = await startRedis({ appendonly: false });
  await ask(redis.url, (client) => client.set('kept', 'yes'));
  await redis.restart();
  expect(await ask(redis.url, (client) => client.get('kept'))).toBeNull();
});

test('takes flags, and servers do not get in each other’s way', async () => {
  const servers = await Promise.all([startRedis({ args: ['--databases', '3'] }), startRedis(), startRedis()]);
  expect(new Set(servers.map(({ port }) => port)).size).toBe(3);
  expect(await ask(servers[0].url, (client) => client.configGet('databases'))).toEqual({ databases: '3' });
});

test('a halted server answers nothing until it goes on, and is ended with the test all the same', async () => {
  const redis = await startRedis();
  await redis.kill('SIGSTOP');
  const answer = connected(redis.url);
  await expect(Promise.race([answer, new Promise((go) => setTimeout(go, 300, 'silence'))])).resolves.toBe('silence');
  await redis.kill('SIGCONT');
  (await answer).destroy();
  await redis.kill('SIGSTOP');
});

test('redis-cli and redis-benchmark come with it', async () => {
  const { redisTool } = await loadScript('bring-redis.mjs');
  const server = await bringRedis();
  for (const name of ['redis-cli', 'redis-benchmark'] as const) {
    const { stdout } = await promisify(execFile)(redisTool(server, name), ['--version']);
    expect(stdout).toContain(name);
  }
});
