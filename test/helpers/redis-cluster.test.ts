import { ErrorReply } from 'redis';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { BRING_TIMEOUT_MS } from './bring.ts';
import { fullLength } from './full-length.ts';
import { ask, type RedisCluster, startRedisCluster, untilWhole } from './redis-cluster.ts';
import type { RedisServer } from './redis-server.ts';

let cluster: RedisCluster;

beforeAll(async () => {
  cluster = await startRedisCluster();
}, BRING_TIMEOUT_MS);

beforeEach(() => cluster.flushAll());

const refusal = async (answer: Promise<unknown>) => {
  const error = await answer.catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(ErrorReply);
  return (error as ErrorReply).message;
};

const other = (owner: RedisServer) => cluster.nodes.find((node) => node !== owner) as RedisServer;

test('holds all slots, each on one of three masters that know each other', async () => {
  expect(new Set(cluster.urls).size).toBe(3);
  for (const info of await cluster.sendAll(['CLUSTER', 'INFO'])) {
    expect(info).toContain('cluster_state:ok');
    expect(info).toContain('cluster_slots_ok:16384');
    expect(info).toContain('cluster_size:3');
  }
  for (const node of cluster.nodes) {
    const key = await cluster.keyOn(node);
    await cluster.send(key, ['SET', key, 'here']);
    expect(await ask(node, ['GET', key])).toBe('here');
    expect(await refusal(ask(other(node), ['GET', key]))).toBe(`MOVED ${cluster.slotOf(key)} 127.0.0.1:${node.port}`);
    expect(await ask(node, ['DBSIZE'])).toBe(1);
  }
});

test.runIf(fullLength)(
  'a node that was killed comes back with its slots and its keys',
  { timeout: 60_000 },
  async () => {
    const own = await startRedisCluster();
    const [node] = own.nodes as [RedisServer];
    const key = await own.keyOn(node);
    await own.send(key, ['SET', key, 'kept']);
    await node.kill();
    await node.restart();
    await untilWhole(own);
    expect(await own.ownerOf(key)).toBe(node);
    expect(await own.send(key, ['GET', key])).toBe('kept');
  },
);

describe('a slot', () => {
  test('that is half moved answers ASK for what went, TRYAGAIN for what is torn apart, and itself for what stayed', async () => {
    const [a, b, absent] = ['{half}a', '{half}b', '{half}c'];
    const slot = cluster.slotOf(a);
    const from = await cluster.ownerOf(a);
    const to = other(from);
    for (const key of [a, b]) await cluster.send(key, ['SET', key, key]);
    await cluster.beginMove(slot, to);
    await cluster.moveTheseKeys([a], to);
    expect(await refusal(ask(from, ['GET', a]))).toBe(`ASK ${slot} 127.0.0.1:${to.port}`);
    expect(await refusal(ask(from, ['GET', absent]))).toBe(`ASK ${slot} 127.0.0.1:${to.port}`);
    expect(await ask(from, ['GET', b])).toBe(b);
    expect(await refusal(ask(from, ['MGET', a, b]))).toMatch(/^TRYAGAIN /);
    expect(await ask(to, ['ASKING'], ['GET', a])).toBe(a);
    expect(await refusal(ask(to, ['ASKING'], ['MGET', a, b]))).toMatch(/^TRYAGAIN /);
    expect(await refusal(ask(to, ['GET', a]))).toBe(`MOVED ${slot} 127.0.0.1:${from.port}`);
    expect(await cluster.moveKeys(slot, to, 10)).toBe(1);
    expect(await cluster.moveKeys(slot, to, 10)).toBe(0);
    await cluster.finishMove(slot, to);
    expect(await cluster.ownerOf(a)).toBe(to);
  });

  test('that has moved answers MOVED, on every node that does not hold it', async () => {
    const keys = Array.from({ length: 250 }, (_, index) => `{moved}${index}`);
    const slot = cluster.slotOf('{moved}');
    const from = await cluster.ownerOf('{moved}');
    const to = other(from);
    await cluster.send('{moved}', ['MSET', ...keys.flatMap((key) => [key, key])]);
    await cluster.moveSlot(slot, to);
    expect(await cluster.ownerOf('{moved}')).toBe(to);
    expect(await cluster.send('{moved}', ['MGET', ...keys])).toEqual(keys);
    for (const node of cluster.nodes) {
      if (node === to) continue;
      expect(await refusal(ask(node, ['GET', '{moved}0']))).toBe(`MOVED ${slot} 127.0.0.1:${to.port}`);
    }
    await cluster.moveSlot(slot, from);
    expect(await cluster.ownerOf('{moved}')).toBe(from);
  });
});
