import { pino } from 'pino';
import { createClient, type RedisClientType } from 'redis';
import { beforeAll, beforeEach, expect, onTestFinished, test } from 'vitest';
import { ConfigError } from '../../../runtime/config/config-error.ts';
import { BRING_TIMEOUT_MS } from '../../../test/helpers/bring.ts';
import { type RedisServer, startRedis } from '../../../test/helpers/redis-server.ts';
import { startUpstash, type UpstashServer } from '../../../test/helpers/upstash-server.ts';
import { upstashClient } from './client.ts';
import { checkUpstash } from './server-check.ts';

let redis: RedisServer;
let upstash: UpstashServer;
let admin: RedisClientType;

beforeAll(async () => {
  redis = await startRedis();
  upstash = await startUpstash(redis);
}, BRING_TIMEOUT_MS);

beforeEach(async () => {
  admin = await createClient({ url: redis.url }).connect();
  onTestFinished(() => admin.destroy());
  await admin.configSet({ 'maxmemory-policy': 'noeviction', appendonly: 'yes' });
});

interface Given {
  allowVolatile?: boolean;
  server?: UpstashServer;
  token?: string;
}

async function check({ allowVolatile = false, server = upstash, token }: Given = {}) {
  const said: string[] = [];
  const log = pino({ base: null }, { write: (line) => void said.push(JSON.parse(line).msg) });
  const host = new URL(server.url).host;
  const access = { url: server.url, token: token ?? server.token };
  const checked = checkUpstash(upstashClient(access, 5_000), { host, allowVolatile, log });
  const refused = await checked.then(
    () => undefined,
    (error: Error) => error,
  );
  return { refused, said };
}

/** The REST API of a database whose token is that of a user with these rights. */
async function restricted(...rights: string[]): Promise<UpstashServer> {
  await admin.sendCommand(['ACL', 'SETUSER', 'limited', 'reset', 'on', '>pw', '~*', '+@all', ...rights]);
  return startUpstash({ url: redis.url.replace('//', '//limited:pw@') });
}

test('a database that evicts nothing is used without a word', async () => {
  expect(await check()).toEqual({ refused: undefined, said: [] });
});

test('Upstash always writes to disk: what Redis itself is set to does not matter', async () => {
  await admin.configSet('appendonly', 'no');
  expect(await check()).toEqual({ refused: undefined, said: [] });
});

test('a database that evicts is refused, with where to switch it off, or accepted with a warning', async () => {
  await admin.configSet('maxmemory-policy', 'volatile-random');
  const { refused } = await check();
  expect(refused).toBeInstanceOf(ConfigError);
  expect((refused as ConfigError).problems[0]).toMatch(
    /evicts keys .*volatile-random.*switch Eviction off in the Upstash/,
  );
  const accepted = await check({ allowVolatile: true });
  expect(accepted.refused).toBeUndefined();
  expect(accepted.said[0]).toContain('accepted, because ALLOW_VOLATILE_STORE is 1');
});

test('a database that does not tell is used, and that is said', async () => {
  const { refused, said } = await check({ server: await restricted('-info', '-config') });
  expect(refused).toBeUndefined();
  expect(said).toHaveLength(1);
  expect(said[0]).toContain('does not tell whether it evicts');
});

test('a token that is wrong, and one that may not write, are told apart, and neither is repeated', async () => {
  const wrong = await check({ token: 'AXwrong' });
  expect(wrong.refused).toBeInstanceOf(ConfigError);
  expect((wrong.refused as ConfigError).problems[0]).toMatch(
    /UPSTASH_REDIS_REST_TOKEN is refused .*WRONGPASS.*copy the/,
  );
  expect(wrong.refused?.message).not.toContain('AXwrong');
  const readOnly = await check({ server: await restricted('-@all', '+@read', '+info') });
  expect(readOnly.refused).toBeInstanceOf(ConfigError);
  expect((readOnly.refused as ConfigError).problems[0]).toMatch(/NOPERM.*the standard token is needed/);
});

test('a server that cannot be reached is no fault of the configuration', async () => {
  const away = await startUpstash(redis);
  await away.stop();
  const { refused } = await check({ server: away });
  expect(refused).toBeInstanceOf(Error);
  expect(refused).not.toBeInstanceOf(ConfigError);
});
