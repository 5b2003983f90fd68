import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { createClient, ErrorReply } from 'redis';
import { beforeAll, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { ConfigError } from '../../../runtime/config/config-error.ts';
import { BRING_TIMEOUT_MS } from '../../../test/helpers/bring.ts';
import { ask, type RedisCluster, startRedisCluster } from '../../../test/helpers/redis-cluster.ts';
import { type RedisServer, startRedis } from '../../../test/helpers/redis-server.ts';
import { CountersUnavailable } from '../contract.ts';
import { type ClusterConnection, connectCluster } from './cluster-connection.ts';
import type { ClusterGuard } from './cluster-nodes.ts';
import { ServerCheck } from './server-check.ts';

const script = (source: string) => ({ name: 'test', source, sha: createHash('sha1').update(source).digest('hex') });

/** Leaves behind who was here, once for each time that it ran. */
const COUNT = script(`#!lua
local count = redis.call('INCR', KEYS[1])
redis.call('RPUSH', KEYS[2], ARGV[1])
return count`);

let cluster: RedisCluster;

beforeAll(async () => {
  cluster = await startRedisCluster();
}, BRING_TIMEOUT_MS);

beforeEach(() => cluster.flushAll());

async function connect({ guard, timeoutMs = 5_000, urls = cluster.urls }: Options = {}) {
  const said: { level: number; msg: string }[] = [];
  const log = pino({ base: null }, { write: (line) => void said.push(JSON.parse(line)) });
  const connection = await connectCluster(urls, timeoutMs, log, guard);
  onTestFinished(() => connection.close());
  return { connection, said };
}

interface Options {
  guard?: ClusterGuard;
  timeoutMs?: number;
  urls?: string[];
}

const count = (connection: ClusterConnection, tag: string, who = 'x') =>
  connection.at(tag).run(COUNT, [`${tag}n`, `${tag}log`], [who]);

const failure = async (call: Promise<unknown>) => {
  const error = await call.then(
    (value) => new Error(`gave ${value}`),
    (thrown: Error) => thrown,
  );
  expect(error).toBeInstanceOf(CountersUnavailable);
  return error as CountersUnavailable;
};

const other = (owner: RedisServer) => cluster.nodes.find((node) => node !== owner) as RedisServer;

describe('scripts', () => {
  test('run on the node of their keys, known by one URL', async () => {
    const { connection, said } = await connect({ urls: cluster.urls.slice(1, 2) });
    for (const node of cluster.nodes) {
      const tag = await cluster.keyOn(node);
      const at = connection.at(tag);
      await at.ping();
      for (let times = 1; times <= 3; times++) expect(await count(connection, tag)).toBe(times);
      expect(await ask(node, ['GET', `${tag}n`])).toBe('3');
      expect(await at.get(`${tag}n`)).toBe('3');
      expect(await at.get(`${tag}absent`)).toBeNull();
    }
    expect(said).toEqual([]);
  });

  test('go by their own keys, wherever the connection was asked for', async () => {
    const { connection } = await connect();
    const [here, there] = await Promise.all(cluster.nodes.slice(0, 2).map((node) => cluster.keyOn(node)));
    await connection.at(here as string).run(COUNT, [`${there}n`, `${there}log`], ['x']);
    expect(await connection.at(here as string).get(`${there}n`)).toBe('1');
  });

  test('that are gone from all nodes again and again are sent along', async () => {
    const { connection } = await connect();
    const tags = await Promise.all(cluster.nodes.flatMap((node) => [0, 1].map((nth) => cluster.keyOn(node, nth))));
    let flushes = 0;
    let over = false;
    const flushing = (async () => {
      for (; !over; flushes++) await cluster.sendAll(['SCRIPT', 'FLUSH']);
    })();
    const each = async (tag: string) => {
      for (let times = 1; times <= 100; times++) expect(await count(connection, tag)).toBe(times);
    };
    await Promise.all(tags.map(each)).finally(() => {
      over = true;
    });
    await flushing;
    expect(flushes).toBeGreaterThan(3);
  });

  test('with an error of their own fail with it, and are not sent again', async () => {
    const { connection } = await connect();
    const [node] = cluster.nodes as [RedisServer];
    const tag = await cluster.keyOn(node);
    await ask(node, ['SET', `${tag}log`, 'no list']);
    const error = await failure(count(connection, tag));
    expect(error.cause).toBeInstanceOf(ErrorReply);
    expect(error.message).toMatch(/^Redis Cluster: WRONGTYPE /);
    expect(await ask(node, ['GET', `${tag}n`])).toBe('1');
    const crossed = connection.at(tag).run(COUNT, [`${tag}n`, `${await cluster.keyOn(other(node))}log`], ['x']);
    expect((await failure(crossed)).message).toMatch(/^Redis Cluster: CROSSSLOT /);
  });
});

describe('a slot on the move', () => {
  /** Two keys of one slot, of which only the first has moved. */
  async function halfMoved(tag: string) {
    const slot = cluster.slotOf(tag);
    const from = await cluster.ownerOf(tag);
    const to = other(from);
    await ask(from, ['SET', `${tag}n`, '7']);
    await ask(from, ['RPUSH', `${tag}log`, 'before']);
    await cluster.beginMove(slot, to);
    await cluster.moveTheseKeys([`${tag}n`], to);
    const finish = async () => {
      while (await cluster.moveKeys(slot, to, 10));
      await cluster.finishMove(slot, to);
    };
    return { from, to, finish };
  }

  const refusal = (answer: Promise<unknown>) => answer.catch((error: Error) => error.message);

  test('runs no script on either side that says all its keys', async () => {
    const { finish, from, to } = await halfMoved('{raw}');
    const whole = ['EVAL', COUNT.source, '2', '{raw}n', '{raw}log', 'me'];
    expect(await refusal(ask(from, whole))).toMatch(/^TRYAGAIN /);
    expect(await refusal(ask(to, ['ASKING'], whole))).toMatch(/^TRYAGAIN /);
    expect(await refusal(ask(to, whole))).toMatch(/^MOVED /);
    await finish();
    expect(await ask(to, whole)).toBe(8);
    expect(await ask(to, ['LRANGE', '{raw}log', '0', '-1'])).toEqual(['before', 'me']);
  });

  test('runs one that keeps a key to itself: the new side finds that key empty, the old one breaks off in the middle', async () => {
    const { finish, from, to } = await halfMoved('{secret}');
    const secretly = (declared: string, kept: string) => [
      'EVAL',
      "#!lua\nredis.call('SET', KEYS[1], 'written')\nreturn redis.call('EXISTS', ARGV[1])",
      '1',
      declared,
      kept,
    ];
    expect(await ask(to, ['ASKING'], secretly('{secret}n', '{secret}log'))).toBe(0);
    expect(await refusal(ask(from, secretly('{secret}log', '{secret}n')))).toMatch(/^ERR Script attempted to access/);
    expect(await ask(from, ['GET', '{secret}log'])).toBe('written');
    await finish();
    expect(await ask(to, secretly('{secret}n', '{secret}log'))).toBe(1);
  });

  test('fails what needs both sides when its time is over, having run nothing, and runs it once the move is done', async () => {
    const { finish } = await halfMoved('{late}');
    await cluster.sendAll(['SCRIPT', 'LOAD', COUNT.source]);
    const { connection } = await connect({ timeoutMs: 200 });
    // A call that is under way when its time is over does not know yet that it is refused, and says only that it is late.
    await vi.waitFor(async () => {
      const error = await failure(count(connection, '{late}'));
      expect(error.cause).toBeInstanceOf(ErrorReply);
      expect(error.message).toMatch(/^Redis Cluster: TRYAGAIN /);
    }, 20_000);
    await finish();
    await sleep(200);
    expect(await count(connection, '{late}', 'after')).toBe(8);
    expect(await cluster.send('{late}', ['LRANGE', '{late}log', '0', '-1'])).toEqual(['before', 'after']);
  });

  test('is waited for as long as there is time', async () => {
    const { finish } = await halfMoved('{wait}');
    const { connection } = await connect();
    const calls = ['a', 'b', 'c'].map((who) => count(connection, '{wait}', who));
    await finish();
    expect((await Promise.all(calls)).sort()).toEqual([10, 8, 9]);
  });

  test('is asked for where its keys are by now, also of a script that this node does not know', async () => {
    const { connection } = await connect();
    const { finish, to } = await halfMoved('{ask}');
    await cluster.moveTheseKeys(['{ask}log'], to);
    await cluster.sendAll(['SCRIPT', 'FLUSH']);
    expect(await count(connection, '{ask}', 'me')).toBe(8);
    expect(await connection.at('{ask}').get('{ask}n')).toBe('8');
    await connection.at('{ask}').ping();
    await finish();
    expect(await count(connection, '{ask}', 'me')).toBe(9);
  });

  test('loses no call and does none twice, under load, there and back again', { timeout: 60_000 }, async () => {
    const { connection, said } = await connect({ timeoutMs: 10_000 });
    const from = await cluster.ownerOf('{load}');
    const to = other(from);
    const elsewhere = await cluster.keyOn(to, 3);
    const slot = cluster.slotOf('{load}');
    // So that the move takes its time.
    for (let index = 0; index < 200; index++) await ask(from, ['SET', `{load}${index}`, 'x'.repeat(100)]);
    const done = new Map<string, string[]>([
      ['{load}', []],
      [elsewhere, []],
    ]);
    const failed: string[] = [];
    let over = false;
    const caller = async (tag: string, name: string) => {
      for (let nth = 0; !over; nth++) {
        const who = `${name}.${nth}`;
        const ok = await count(connection, tag, who).then(
          () => true,
          () => false,
        );
        (ok ? (done.get(tag) as string[]) : failed).push(who);
      }
    };
    const callers = ['a', 'b', 'c', 'd', 'e', 'f'].map((name, index) => caller(index % 2 ? elsewhere : '{load}', name));
    for (const target of [to, from, to, from]) {
      await cluster.beginMove(slot, target);
      while (await cluster.moveKeys(slot, target, 20));
      await cluster.finishMove(slot, target);
    }
    over = true;
    await Promise.all(callers);
    expect(failed).toEqual([]);
    for (const [tag, names] of done) {
      expect(names.length).toBeGreaterThan(50);
      expect(await cluster.send(tag, ['GET', `${tag}n`])).toBe(String(names.length));
      const log = (await cluster.send(tag, ['LRANGE', `${tag}log`, '0', '-1'])) as string[];
      expect(log.toSorted()).toEqual(names.toSorted());
    }
    console.info('moved under load:', Object.fromEntries([...done].map(([tag, names]) => [tag, names.length])));
    expect(said).toEqual([]);
  });
});

describe('who must not be used', () => {
  const checking = (everyMs = 60_000) => {
    const looked: string[] = [];
    const refused: Error[] = [];
    const checks = new Map<string, ServerCheck>();
    const log = pino({ level: 'silent' });
    const guard: ClusterGuard = {
      check: (asked, server) => {
        looked.push(server);
        const check = checks.get(server) ?? new ServerCheck({ server, allowVolatile: false, inCluster: true, log });
        checks.set(server, check);
        return check.check(asked);
      },
      everyMs,
      refuse: (error) => void refused.push(error),
    };
    return { guard, looked, refused };
  };

  const refused = async (work: Promise<unknown>) => {
    const error = await work.catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(ConfigError);
    return (error as ConfigError).problems;
  };

  test('each master is looked at, and again now and then', async () => {
    const { guard, looked, refused } = checking(50);
    await connect({ guard, urls: cluster.urls.slice(0, 1) });
    const all = cluster.nodes.map(({ port }) => `127.0.0.1:${port}`);
    expect(new Set(looked)).toEqual(new Set(all));
    await expect.poll(() => looked.length).toBeGreaterThan(8);
    expect(refused).toEqual([]);
  });

  test('every master that is unfit is named', async () => {
    const [, second, third] = cluster.nodes as [RedisServer, RedisServer, RedisServer];
    const set = (value: string) =>
      Promise.all([second, third].map((node) => ask(node, ['CONFIG', 'SET', 'maxmemory-policy', value])));
    await set('allkeys-lru');
    onTestFinished(async () => void (await set('noeviction')));
    const problems = await refused(connect({ guard: checking().guard }));
    expect(problems).toHaveLength(2);
    for (const { port } of [second, third]) {
      expect(problems.join('\n')).toContain(`Redis at 127.0.0.1:${port}: it evicts keys`);
    }
  });

  test('a server that is no cluster', async () => {
    const single = await startRedis();
    const host = `127.0.0.1:${single.port}`;
    expect(await refused(connect({ urls: [single.url] }))).toEqual([
      `Redis at ${host}: it is a server of its own, not a node of a cluster; set REDIS_URL to it instead of REDIS_CLUSTER_URLS`,
    ]);
  });

  test('a server that is no cluster, and was not there at the start', async () => {
    const single = await startRedis();
    await single.stop();
    const { guard, refused } = checking();
    const { connection, said } = await connect({ urls: [single.url], timeoutMs: 250, guard });
    expect((await failure(connection.at('a').ping())).cause).not.toBeInstanceOf(ErrorReply);
    await single.restart();
    await expect.poll(() => refused[0]?.message, { timeout: 10_000 }).toContain('set REDIS_URL to it');
    expect(said.map(({ msg }) => msg)).toEqual(['Redis Cluster cannot be reached; trying on']);
  });
});

test('user and password of a URL hold for all nodes', async () => {
  await cluster.sendAll(['ACL', 'SETUSER', 'app', 'on', '>p%w', '~*', '&*', '+@all']);
  const [first] = cluster.urls as [string];
  const { connection } = await connect({ urls: [first.replace('//', '//app:p%25w@')] });
  for (const node of cluster.nodes) {
    await count(connection, await cluster.keyOn(node));
    const client = await createClient({ url: node.url }).connect();
    onTestFinished(() => client.destroy());
    expect(await client.sendCommand(['CLIENT', 'LIST'])).toMatch(/ user=app /);
  }
});
