import { pino } from 'pino';
import { createClient, ErrorReply } from 'redis';
import { beforeAll, describe, expect, test } from 'vitest';
import { ConfigError } from '../../../runtime/config/config-error.ts';
import { BRING_TIMEOUT_MS } from '../../../test/helpers/bring.ts';
import { eventually } from '../../../test/helpers/eventually.ts';
import { startRedis } from '../../../test/helpers/redis-server.ts';
import { CountersUnavailable } from '../contract.ts';
import { ServerCheck } from './server-check.ts';
import { type Ask, faultsOf, readSettings } from './server-settings.ts';

/** A server that says this of itself. */
const says = (info: Record<string, string>): Ask => {
  const text = `# Server\r\n${Object.entries(info)
    .map(([name, value]) => `${name}:${value}\r\n`)
    .join('')}\r\n# Keyspace\r\ndb0:keys=1,expires=0\r\n`;
  return async ([name]) => (name === 'INFO' ? text : {});
};

const FIT = { redis_version: '7.0.15', maxmemory_policy: 'noeviction', aof_enabled: '1' };

const faults = async (info: Record<string, string>) =>
  faultsOf(await readSettings(says({ ...FIT, ...info }))).map(({ what }) => what);

describe('versions', () => {
  test.each(['7.0.0', '7.2.4', '7.4.1', '8.0.2', '10.0.0', '255.255.255'])('%s is fit', async (redis_version) => {
    expect(await faults({ redis_version })).toEqual([]);
  });

  test.each(['2.8.24', '4.0.14', '5.0.14', '6.0.16', '6.2.14', '6.3.4', '', 'unstable'])(
    '%j is not',
    async (redis_version) => {
      const [what, ...more] = await faults({ redis_version });
      expect(what).toBe(`it is version ${redis_version}, and the scripts of the counters need 7.0 or newer`);
      expect(more).toEqual([]);
    },
  );
});

test('everything that is wrong is found at once', async () => {
  const found = await faults({ redis_version: '6.2.0', maxmemory_policy: 'volatile-ttl', aof_enabled: '0' });
  expect(found).toEqual([
    expect.stringContaining('version 6.2.0'),
    expect.stringContaining('evicts keys (maxmemory-policy volatile-ttl)'),
    expect.stringContaining('appendonly no'),
  ]);
});

describe('servers that tell only a part', () => {
  const refusing =
    (...refused: string[]): Ask =>
    async (command) => {
      if (refused.includes(command.join(' '))) throw new ErrorReply(`NOPERM no permissions to run '${command[0]}'`);
      return command[0] === 'INFO' ? 'redis_version:7.0.15\r\n' : ['appendonly', 'no'];
    };

  test('what INFO leaves open is asked of CONFIG', async () => {
    expect(await readSettings(refusing('CONFIG GET maxmemory-policy'))).toEqual({
      version: '7.0.15',
      eviction: undefined,
      appendOnly: false,
    });
  });

  test('a server that tells nothing has no fault', async () => {
    const settings = await readSettings(refusing('INFO', 'CONFIG GET maxmemory-policy', 'CONFIG GET appendonly'));
    expect(settings).toEqual({ version: undefined, eviction: undefined, appendOnly: undefined });
    expect(faultsOf(settings)).toEqual([]);
  });

  test('one that cannot answer now is not one that does not tell', async () => {
    const busy: Ask = async () => {
      throw new ErrorReply('BUSY Redis is busy running a script.');
    };
    await expect(readSettings(busy)).rejects.toThrow('BUSY');
  });
});

describe('the check', () => {
  function checking(allowVolatile = false) {
    const said: { level: number; msg: string }[] = [];
    const log = pino({ base: null }, { write: (line) => void said.push(JSON.parse(line)) });
    const check = new ServerCheck({ server: 'counters:6379', allowVolatile, log });
    return { check: (info: Record<string, string>) => check.check(says({ ...FIT, ...info })), said, server: check };
  }

  test('the first server is refused, with all that is wrong and what mends it', async () => {
    const refusal = await checking()
      .check({ maxmemory_policy: 'allkeys-lru', aof_enabled: '0' })
      .catch((error: ConfigError) => error);
    expect(refusal).toBeInstanceOf(ConfigError);
    expect((refusal as ConfigError).problems).toEqual([
      'Redis at counters:6379: it evicts keys (maxmemory-policy allkeys-lru), and an evicted counter is a full bucket ' +
        'again; run `redis-cli CONFIG SET maxmemory-policy noeviction`, and write `maxmemory-policy noeviction` into its ' +
        'redis.conf; or set ALLOW_VOLATILE_STORE=1 if it may forget',
      'Redis at counters:6379: it keeps no append-only file (appendonly no), so a restart forgets the counters and what is ' +
        'not billed yet; run `redis-cli CONFIG SET appendonly yes`, and write `appendonly yes` into its redis.conf; ' +
        'or set ALLOW_VOLATILE_STORE=1 if it may forget',
    ]);
  });

  test('a server that was refused is refused again', async () => {
    const { check } = checking();
    for (let time = 0; time < 2; time++) await expect(check({ aof_enabled: '0' })).rejects.toThrow(ConfigError);
  });

  test('what may be forgotten is said once', async () => {
    const { check, said, server } = checking(true);
    for (let time = 0; time < 3; time++) await check({ aof_enabled: '0' });
    expect(said).toHaveLength(1);
    expect(said[0]).toMatchObject({ level: 40, msg: expect.stringContaining('because ALLOW_VOLATILE_STORE is 1') });
    expect(() => server.assertFit()).not.toThrow();
  });

  test('an old version is refused whatever is allowed', async () => {
    const { check } = checking(true);
    const refusal = await check({ redis_version: '6.2.14', aof_enabled: '0' }).catch((error: ConfigError) => error);
    expect((refusal as ConfigError).problems).toEqual([
      'Redis at counters:6379: it is version 6.2.14, and the scripts of the counters need 7.0 or newer; ' +
        'stop it, and start a newer redis-server on its files',
    ]);
  });

  test('one that turns out unfit later is said once, is red, and is well again when it is mended', async () => {
    const { check, said, server } = checking();
    await check({});
    for (let time = 0; time < 3; time++) await check({ maxmemory_policy: 'allkeys-lfu' });
    expect(said.map(({ level }) => level)).toEqual([50]);
    expect(() => server.assertFit()).toThrow(CountersUnavailable);
    expect(() => server.assertFit()).toThrow(/allkeys-lfu.*CONFIG SET maxmemory-policy noeviction/);
    await check({});
    expect(said.map(({ level }) => level)).toEqual([50, 30]);
    expect(() => server.assertFit()).not.toThrow();
  });

  test('what it does not tell is said once', async () => {
    const said: string[] = [];
    const log = pino({ base: null }, { write: (line) => void said.push(JSON.parse(line).msg) });
    const check = new ServerCheck({ server: 'counters:6379', allowVolatile: false, log });
    const tellsVersion: Ask = async ([name]) => (name === 'INFO' ? 'redis_version:7.2.0\r\n' : {});
    for (let time = 0; time < 3; time++) await check.check(tellsVersion);
    expect(said).toEqual([
      'Redis at counters:6379: it does not tell, and cannot be checked: its maxmemory-policy must be noeviction',
      'Redis at counters:6379: it does not tell, and cannot be checked: its appendonly must be yes',
    ]);
  });
});

describe('a real redis-server', () => {
  const settings = async (url: string) => {
    const client = await createClient({ url }).connect();
    try {
      return await readSettings((command) => client.sendCommand(command));
    } finally {
      client.destroy();
    }
  };

  let url: string;
  beforeAll(async () => {
    url = (await startRedis()).url;
    const client = await createClient({ url }).connect();
    await client.sendCommand(['ACL', 'SETUSER', 'asks', 'on', '>pw', '~*', '+@all', '-info']);
    await client.sendCommand(['ACL', 'SETUSER', 'mute', 'on', '>pw', '~*', '+@all', '-info', '-config']);
    client.destroy();
  }, BRING_TIMEOUT_MS);

  const as = (user: string) => url.replace('redis://', `redis://${user}:pw@`);

  test('tells by INFO', async () => {
    expect(await settings(url)).toEqual({
      version: expect.stringMatching(/^\d+\./),
      eviction: 'noeviction',
      appendOnly: true,
      cluster: false,
    });
  });

  test('is not judged while it reads its files, when it says that it keeps none', { timeout: 60_000 }, async () => {
    // 50 keys of a kilobyte, 20 ms for each.
    const slow = await startRedis({
      args: ['--key-load-delay', '20000', '--loading-process-events-interval-bytes', '1024'],
    });
    const client = await createClient({ url: slow.url }).connect();
    for (let index = 0; index < 50; index++) await client.set(`key ${index}`, 'x'.repeat(1024));
    await client.sendCommand(['BGREWRITEAOF']);
    await eventually(async () => expect(await client.info('persistence')).not.toContain('aof_base_size:0'));
    await eventually(async () => expect(await client.info('persistence')).toContain('aof_rewrite_in_progress:0'));
    client.on('error', () => {});
    const restarted = slow.restart();
    await eventually(() => expect(readSettings((command) => client.sendCommand(command))).rejects.toThrow('LOADING'));
    await restarted;
    expect(await readSettings((command) => client.sendCommand(command))).toMatchObject({ appendOnly: true });
    client.destroy();
  });

  test('tells that it is a node of a cluster, which is refused unless it is to be one', async () => {
    const node = await startRedis({ args: ['--cluster-enabled', 'yes'] });
    const found = await settings(node.url);
    expect(found.cluster).toBe(true);
    expect(faultsOf(found)).toEqual([
      {
        kind: 'part',
        what: 'it is a node of a Redis Cluster, and has only some of the keys',
        mend: 'set REDIS_CLUSTER_URLS to it instead of REDIS_URL',
      },
    ]);
    expect(faultsOf(found, true)).toEqual([]);
  });

  test('tells by CONFIG what its user may not see in INFO', async () => {
    expect(await settings(as('asks'))).toEqual({ version: undefined, eviction: 'noeviction', appendOnly: true });
  });

  test('does not tell a user who may see neither', async () => {
    expect(await settings(as('mute'))).toEqual({ version: undefined, eviction: undefined, appendOnly: undefined });
  });
});
