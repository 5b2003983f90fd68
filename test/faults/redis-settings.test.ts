import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createClient, type RedisClientType } from 'redis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { packageRoot } from '../../runtime/package-root.ts';
import { BRING_TIMEOUT_MS } from '../helpers/bring.ts';
import type { Child } from '../helpers/child.ts';
import { eventually } from '../helpers/eventually.ts';
import { createDatabase } from '../helpers/postgres.ts';
import { startProcess } from '../helpers/process.ts';
import { type RedisServer, startRedis } from '../helpers/redis-server.ts';
import { startSidecar, startWorker } from '../helpers/services.ts';
import { ask, get } from '../helpers/sidecar-client.ts';
import { startProxy } from '../helpers/tcp-proxy.ts';
import { tempDir } from '../helpers/temp-dir.ts';

/** The server looked at by the real programs: what may forget is refused, with what mends it. */
let redis: RedisServer;
let client: RedisClientType;

const RIGHT = { 'maxmemory-policy': 'noeviction', appendonly: 'yes' };

beforeAll(async () => {
  redis = await startRedis();
  client = await createClient({ url: redis.url }).connect();
}, BRING_TIMEOUT_MS);

afterAll(() => client?.destroy());

const sidecar = (environment: Record<string, string> = {}) =>
  startProcess({ script: 'dist/sidecar/main.js', env: { PORT: '0', REDIS_URL: redis.url, ...environment } });

/** Waits until it has ended by itself. */
async function ended(process: Child) {
  const { code } = await process.exited;
  return { code, said: process.output.join('\n') };
}

const lines = (process: Child, text: string) => process.stdout.filter((line) => line.includes(text));

const EVICTING = ['allkeys-lru', 'allkeys-lfu', 'allkeys-random', 'volatile-lru', 'volatile-random', 'volatile-ttl'];

describe('refused at the start', { timeout: 60_000 }, () => {
  test('a server that evicts, whichever way, and without a memory limit too', async () => {
    for (const policy of EVICTING) {
      await client.configSet({
        ...RIGHT,
        'maxmemory-policy': policy,
        maxmemory: policy === 'allkeys-lru' ? '1gb' : '0',
      });
      const { code, said } = await ended(await sidecar());
      expect(said).toMatch(/^cannot start:$/m);
      expect(said).toContain(`maxmemory-policy ${policy}`);
      expect(said).toContain('redis-cli CONFIG SET maxmemory-policy noeviction');
      expect(said).toContain('`maxmemory-policy noeviction` into its redis.conf');
      expect(said).not.toMatch(/^ +at /m);
      expect(code).toBe(1);
    }
    await client.configSet({ maxmemory: '0' });
  });

  test('a server without append-only file', async () => {
    await client.configSet({ ...RIGHT, appendonly: 'no' });
    const { code, said } = await ended(await sidecar());
    expect(said).toContain('keeps no append-only file (appendonly no)');
    expect(said).toContain('redis-cli CONFIG SET appendonly yes');
    expect(said).not.toContain('evicts');
    expect(code).toBe(1);
  });

  test('by `npm start` as well, and with both at once', async () => {
    await client.configSet({ 'maxmemory-policy': 'allkeys-lru', appendonly: 'no' });
    const environment = { REDIS_URL: redis.url, DATA_DIR: await tempDir(), PORT: '0', BILLING_PORT: '0' };
    const { code, said } = await ended(await startProcess({ script: 'dist/runtime/start.js', env: environment }));
    expect(said).toContain('CONFIG SET maxmemory-policy noeviction');
    expect(said).toContain('CONFIG SET appendonly yes');
    expect(code).toBe(1);
  });

  test('what the message says mends it', async () => {
    await client.configSet({ 'maxmemory-policy': 'allkeys-lru', appendonly: 'no' });
    const { said } = await ended(await sidecar());
    const commands = [...said.matchAll(/redis-cli (CONFIG SET \S+ \S+)`/g)].map(([, command = '']) =>
      command.split(' '),
    );
    expect(commands).toHaveLength(2);
    for (const command of commands) await client.sendCommand(command);
    const { process, url } = await startSidecar({ REDIS_URL: redis.url });
    expect((await ask(url, { tenant_id: 'acme' })).body.result).toBe(true);
    expect(lines(process, 'Redis at')).toEqual([]);
  });

  test('a password is not repeated', async () => {
    await client.configSet({ ...RIGHT, appendonly: 'no' });
    await client.sendCommand(['ACL', 'SETUSER', 'app', 'on', '>hunter2', '~*', '+@all']);
    const { said } = await ended(await sidecar({ REDIS_URL: redis.url.replace('//', '//app:hunter2@') }));
    expect(said).toContain('appendonly no');
    expect(said).not.toContain('hunter2');
  });
});

test('ALLOW_VOLATILE_STORE=1 starts on it, with a warning', { timeout: 60_000 }, async () => {
  await client.configSet({ 'maxmemory-policy': 'allkeys-lru', appendonly: 'no' });
  const { process, url } = await startSidecar({ REDIS_URL: redis.url, ALLOW_VOLATILE_STORE: '1' });
  expect((await ask(url, { tenant_id: 'acme' })).body.result).toBe(true);
  expect((await get(`${url}/health`)).status).toBe(200);
  expect(lines(process, 'ALLOW_VOLATILE_STORE is 1')).toHaveLength(2);
  expect(lines(process, '"level":40').length).toBeGreaterThanOrEqual(2);
});

test('a user who may not ask: said once, and it starts', { timeout: 60_000 }, async () => {
  await client.configSet(RIGHT);
  await client.sendCommand(['ACL', 'SETUSER', 'mute', 'on', '>pw', '~*', '+@all', '-info', '-config']);
  const { process, url } = await startSidecar({ REDIS_URL: redis.url.replace('//', '//mute:pw@') });
  expect((await ask(url, { tenant_id: 'acme' })).body.result).toBe(true);
  await client.sendCommand(['CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes']);
  await eventually(async () => expect((await ask(url, { tenant_id: 'acme' })).body.result).toBe(true));
  expect(lines(process, 'does not tell')).toHaveLength(3);
});

test("the user of the operators' guide may do all that is needed, and tells all that is asked", {
  timeout: 60_000,
}, async () => {
  await client.configSet(RIGHT);
  const guide = await readFile(join(packageRoot, 'docs/operators-guide.md'), 'utf8');
  const command = /^ACL SETUSER openclaw .*$/m.exec(guide)?.[0].replace('>password', '>pw');
  await client.sendCommand(command?.split(' ') ?? []);
  const url = redis.url.replace('//', '//openclaw:pw@');
  const sidecar = await startSidecar({ REDIS_URL: url });
  await client.sendCommand(['SCRIPT', 'FLUSH']);
  expect((await ask(sidecar.url, { tenant_id: 'acme', request_id: 'one' })).body.result).toBe(true);
  expect((await ask(sidecar.url, { tenant_id: 'acme', request_id: 'one' })).body.replayed).toBe(true);
  expect((await get(`${sidecar.url}/health`)).status).toBe(200);

  const database = await createDatabase();
  const worker = await startWorker({ REDIS_URL: url, DATABASE_URL: database.url, ADMIN_TOKEN: 'admin' });
  await eventually(
    async () => {
      const { body } = await get(`${worker.url}/v1/usage?tenant_id=acme`, { Authorization: 'Bearer admin' });
      expect(body.data[0].requests).toBeGreaterThan(0);
    },
    { timeoutMs: 30_000 },
  );
  const log = [...sidecar.process.stdout, ...worker.process.stdout];
  expect(log.filter((line) => /does not tell|NOPERM|"level":50/.test(line))).toEqual([]);
});

describe('found out later', { timeout: 60_000 }, () => {
  test('a server that was away at the start and is unfit: nothing is taken, and the process ends', async () => {
    await client.configSet({ ...RIGHT, appendonly: 'no' });
    const proxy = await startProxy({ target: redis });
    proxy.blackhole();
    const { process, url } = await startSidecar({ REDIS_URL: proxy.url(redis.url) });
    const { body, status } = await ask(url, { tenant_id: 'acme' }, 'decision');
    expect(status).toBe(200);
    expect(body.result).toMatchObject({ allow: false, reason: 'counters_unavailable' });
    const events = await client.xLen('ocr:{p0}:usage');

    proxy.heal();
    const asking = keepAsking(url);
    const { code, said } = await ended(process);
    asking.stop();
    expect(code).toBe(1);
    expect(said).toMatch(/^cannot go on:\n {2}Redis at .*appendonly no.*redis-cli CONFIG SET appendonly yes/m);
    expect(await asking.allowed).toBe(0);
    expect(await client.xLen('ocr:{p0}:usage')).toBe(events);
  });

  test('a server that turns unfit while it is used: an error in the log, health red, and decisions go on', async () => {
    await client.configSet(RIGHT);
    const { process, url } = await startSidecar({ REDIS_URL: redis.url });
    expect((await get(`${url}/health`)).status).toBe(200);
    await client.configSet({ 'maxmemory-policy': 'allkeys-lru' });
    const reconnect = () => client.sendCommand(['CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes']);
    await reconnect();
    await eventually(async () => {
      const { body, status } = await get(`${url}/health`);
      expect(status).toBe(500);
      expect(body.error).toMatch(/allkeys-lru.*CONFIG SET maxmemory-policy noeviction/);
    });
    expect((await ask(url, { tenant_id: 'acme' })).body.result).toBe(true);
    await reconnect();
    await eventually(async () => expect((await ask(url, { tenant_id: 'acme' })).body.result).toBe(true));

    await client.configSet(RIGHT);
    await reconnect();
    await eventually(async () => expect((await get(`${url}/health`)).status).toBe(200));
    expect(lines(process, 'allkeys-lru').filter((line) => line.startsWith('{"level":50'))).toHaveLength(1);
    expect(lines(process, 'right again')).toHaveLength(1);
  });
});

/** Asks without a pause, until it is stopped or nobody answers. */
function keepAsking(url: string) {
  let stopped = false;
  const asked = (async () => {
    let allowed = 0;
    while (!stopped) {
      const reply = await ask(url, { tenant_id: 'acme' }).catch(() => undefined);
      if (!reply) break;
      if (reply.body.result === true) allowed += 1;
    }
    return allowed;
  })();
  return {
    allowed: asked,
    stop: () => {
      stopped = true;
    },
  };
}
