import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { ErrorReply } from 'redis';
import { expect, onTestFinished, test } from 'vitest';
import { eventually } from '../../../test/helpers/eventually.ts';
import { fullLength } from '../../../test/helpers/full-length.ts';
import { ask, type RedisCluster, startRedisCluster, untilWhole } from '../../../test/helpers/redis-cluster.ts';
import type { RedisServer } from '../../../test/helpers/redis-server.ts';
import { CountersUnavailable } from '../contract.ts';
import { type ClusterConnection, connectCluster } from './cluster-connection.ts';

const TIMEOUT_MS = 250;

const LIMITS = { timeout: 120_000 };

/** What is left of it goes on without the slots that nobody serves. */
const GOES_ON = ['--cluster-require-full-coverage', 'no', '--cluster-node-timeout', '1000'];

const SOURCE = "#!lua\nreturn redis.call('INCR', KEYS[1])";
const INCREMENT = { name: 'test', source: SOURCE, sha: createHash('sha1').update(SOURCE).digest('hex') };

async function connect(urls: string[]) {
  const said: string[] = [];
  const log = pino({ base: null }, { write: (line) => void said.push(JSON.parse(line).msg) });
  const connection = await connectCluster(urls, TIMEOUT_MS, log);
  onTestFinished(() => connection.close());
  return { connection, said };
}

const increment = (connection: ClusterConnection, key: string) => connection.at(key).run(INCREMENT, [key], []);

const failure = async (call: Promise<unknown>) => {
  const error = await call.then(
    (value) => new Error(`gave ${value}`),
    (thrown: Error) => thrown,
  );
  expect(error).toBeInstanceOf(CountersUnavailable);
  return error as CountersUnavailable;
};

async function keysOf(cluster: RedisCluster): Promise<[string, string, string]> {
  const keys = await Promise.all(cluster.nodes.slice(0, 3).map((node) => cluster.keyOn(node)));
  return keys as [string, string, string];
}

/** 50 more on each of these, with no failure. */
async function goesOn(connection: ClusterConnection, keys: string[]) {
  const each = async (key: string) => {
    const first = Number(await increment(connection, key));
    for (let more = 1; more < 50; more++) expect(await increment(connection, key)).toBe(first + more);
  };
  await Promise.all(keys.map(each));
}

test(
  'a node that is killed fails its own slots only, at once, and is found again when it is back',
  LIMITS,
  async () => {
    const cluster = await startRedisCluster({ args: GOES_ON });
    const [dead] = cluster.nodes as [RedisServer];
    const [lost, ...others] = await keysOf(cluster);
    const { connection, said } = await connect(cluster.urls);
    for (const key of [lost, ...others]) expect(await increment(connection, key)).toBe(1);
    await dead.kill();
    const error = await failure(increment(connection, lost));
    expect(error.cause).not.toBeInstanceOf(ErrorReply);
    expect(error.message).not.toContain('no answer within');
    await failure(connection.at(lost).ping());
    await goesOn(connection, others);
    await dead.restart();
    expect(await eventually(() => increment(connection, lost), { timeoutMs: 20_000 })).toBe(2);
    await goesOn(connection, [lost, ...others]);
    const name = `Redis node 127.0.0.1:${dead.port}`;
    expect(said).toEqual([`${name} cannot be reached; trying on`, `${name} is back`]);
  },
);

test.runIf(fullLength)(
  'a slot that has moved away from a node while nobody was connected to it is found',
  LIMITS,
  async () => {
    const cluster = await startRedisCluster({ args: GOES_ON });
    const [first, second] = cluster.nodes as [RedisServer, RedisServer];
    const [key] = await keysOf(cluster);
    const { connection } = await connect(cluster.urls);
    expect(await increment(connection, key)).toBe(1);
    await first.kill();
    await failure(increment(connection, key));
    await first.restart();
    await eventually(async () => expect(String(await ask(first, ['CLUSTER', 'INFO']))).toContain('cluster_state:ok'));
    await cluster.moveSlot(cluster.slotOf(key), second);
    expect(await eventually(() => increment(connection, key), { timeoutMs: 20_000 })).toBe(2);
  },
);

test.runIf(fullLength)(
  'a node that is frozen fails its own slots only, also the first time, and takes part again when it goes on',
  LIMITS,
  async () => {
    const cluster = await startRedisCluster({ args: GOES_ON });
    const [frozen] = cluster.nodes as [RedisServer];
    const [held, ...others] = await keysOf(cluster);
    const { connection, said } = await connect(cluster.urls);
    await increment(connection, held);
    await frozen.kill('SIGSTOP');
    const error = await failure(increment(connection, held));
    expect(error.message).toBe(`Redis Cluster: no answer within ${TIMEOUT_MS} ms`);
    await goesOn(connection, others);
    await eventually(() => expect(said[0]).toContain('is connected and does not answer; connecting anew'));
    const meanwhile = await Promise.all([failure(increment(connection, held)), goesOn(connection, others)]);
    expect(meanwhile[0].cause).not.toBeInstanceOf(ErrorReply);
    await frozen.kill('SIGCONT');
    // The first was already with it when it froze.
    const count = await eventually(() => increment(connection, held), { timeoutMs: 20_000 });
    expect(count).toBe(3);
    expect(said.at(-1)).toBe(`Redis node 127.0.0.1:${frozen.port} is back`);
  },
);

test.runIf(fullLength)(
  'a start with a frozen node serves the slots of the others, and its own once it goes on',
  LIMITS,
  async () => {
    const cluster = await startRedisCluster({ args: GOES_ON });
    const [frozen] = cluster.nodes as [RedisServer];
    const [held, ...others] = await keysOf(cluster);
    await frozen.kill('SIGSTOP');
    const { connection } = await connect(cluster.urls);
    await failure(increment(connection, held));
    await goesOn(connection, others);
    await frozen.kill('SIGCONT');
    // Nothing that was refused before is carried out now.
    expect(await eventually(() => increment(connection, held), { timeoutMs: 20_000 })).toBe(1);
  },
);

test.runIf(fullLength)('a start before the cluster is there', LIMITS, async () => {
  const cluster = await startRedisCluster();
  const keys = await keysOf(cluster);
  await cluster.stop();
  const { connection, said } = await connect(cluster.urls);
  for (const key of keys) expect((await failure(increment(connection, key))).cause).not.toBeInstanceOf(ErrorReply);
  await Promise.all(cluster.nodes.map((node) => node.restart()));
  for (const key of keys) {
    expect(await eventually(() => increment(connection, key), { timeoutMs: 30_000 })).toBe(1);
  }
  expect(said.slice(0, 2)).toEqual(['Redis Cluster cannot be reached; trying on', 'Redis Cluster is back']);
});

test.runIf(fullLength)(
  'a new master that holds no slot yet is asked for those that are on their way to it',
  LIMITS,
  async () => {
    const cluster = await startRedisCluster();
    const { connection, said } = await connect(cluster.urls);
    const added = await cluster.addNode();
    await untilWhole(cluster);
    const [key] = await keysOf(cluster);
    const slot = cluster.slotOf(key);
    expect(await increment(connection, key)).toBe(1);
    await cluster.beginMove(slot, added);
    await cluster.moveKeys(slot, added, 10);
    for (const expected of [2, 3, 4]) expect(await increment(connection, key)).toBe(expected);
    await cluster.finishMove(slot, added);
    await goesOn(connection, [key]);
    expect(await ask(added, ['GET', key])).toBe('54');
    expect(said).toEqual([]);
  },
);

test.runIf(fullLength)('a replica that takes over from a frozen master is found', LIMITS, async () => {
  const cluster = await startRedisCluster({ args: ['--cluster-node-timeout', '1000'] });
  const [master] = cluster.nodes as [RedisServer];
  const [key, ...others] = await keysOf(cluster);
  const replica = await cluster.addNode();
  await cluster.replicate(replica, master);
  const { connection } = await connect(cluster.urls);
  expect(await increment(connection, key)).toBe(1);
  await ask(master, ['WAIT', '1', '2000']);
  await sleep(200);
  await master.kill('SIGSTOP');
  await failure(increment(connection, key));
  expect(await eventually(() => increment(connection, key), { timeoutMs: 30_000 })).toBe(2);
  expect(await ask(replica, ['GET', key])).toBe('2');
  await goesOn(connection, [key, ...others]);
  await master.kill('SIGCONT');
  await eventually(async () => expect(String(await ask(master, ['ROLE']))).toContain('slave'), { timeoutMs: 20_000 });
  await goesOn(connection, [key, ...others]);
});

test.runIf(fullLength)('slots that nobody serves are waited for, and then fail as such', LIMITS, async () => {
  const cluster = await startRedisCluster({ args: ['--cluster-node-timeout', '1000'] });
  const [dead] = cluster.nodes as [RedisServer];
  const [, alive] = await keysOf(cluster);
  const { connection } = await connect(cluster.urls);
  expect(await increment(connection, alive)).toBe(1);
  await dead.kill();
  // Until the others have noticed, a call may be lost without an answer.
  await eventually(
    async () => {
      const error = await failure(increment(connection, alive));
      expect(error.cause).toBeInstanceOf(ErrorReply);
      expect(error.message).toMatch(/^Redis Cluster: CLUSTERDOWN /);
    },
    { timeoutMs: 20_000 },
  );
  await dead.restart();
  await eventually(() => increment(connection, alive), { timeoutMs: 20_000 });
});

test('its end does not wait for a frozen node', LIMITS, async () => {
  const cluster = await startRedisCluster();
  const [frozen] = cluster.nodes as [RedisServer];
  const [held, other] = await keysOf(cluster);
  const { connection } = await connect(cluster.urls);
  await frozen.kill('SIGSTOP');
  const lost = failure(increment(connection, held));
  await connection.close();
  await lost;
  await failure(increment(connection, other));
});
