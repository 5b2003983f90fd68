import { describe, expect, test } from 'vitest';
import { GroupCommit } from './group-commit.ts';

interface Item {
  id: number;
  size: number;
}

/** A server that answers when it is told to. */
class Server {
  readonly calls: { items: number[]; answer(): void; fail(): void }[] = [];

  readonly call = (given: Item[]): Promise<string[]> =>
    new Promise((resolve, reject) => {
      const items = given.map(({ id }) => id);
      this.calls.push({
        items,
        answer: () => resolve(items.map((item) => `answer ${item}`)),
        fail: () => reject(new Error('gone')),
      });
    });
}

const item = (id: number, size = 1): Item => ({ id, size });

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('what arrives together goes together', () => {
  test('in one call, in order, each answered with its own', async () => {
    const server = new Server();
    const commit = new GroupCommit(server.call);
    const results = [1, 2, 3].map((id) => commit.add(item(id)));
    await turn();
    expect(server.calls.map(({ items }) => items)).toEqual([[1, 2, 3]]);
    server.calls[0]?.answer();
    expect(await Promise.all(results)).toEqual(['answer 1', 'answer 2', 'answer 3']);
  });

  test('what arrives while two calls are in flight shares the next one', async () => {
    const server = new Server();
    const commit = new GroupCommit(server.call);
    const results = [];
    for (const id of [1, 2, 3, 4, 5]) {
      results.push(commit.add(item(id)));
      await turn();
    }
    expect(server.calls.map(({ items }) => items)).toEqual([[1], [2]]);
    server.calls[0]?.answer();
    await turn();
    expect(server.calls.map(({ items }) => items)).toEqual([[1], [2], [3, 4, 5]]);
    server.calls[1]?.answer();
    server.calls[2]?.answer();
    expect(await Promise.all(results)).toHaveLength(5);
  });

  test('no more than 64 to a call', async () => {
    const server = new Server();
    const commit = new GroupCommit(server.call);
    const results = Array.from({ length: 100 }, (_, id) => commit.add(item(id)));
    await turn();
    expect(server.calls.map(({ items }) => items.length)).toEqual([64, 36]);
    for (const call of server.calls) call.answer();
    expect(await Promise.all(results)).toHaveLength(100);
  });

  test('no more than 256 Ki characters to a call; what is larger goes alone', async () => {
    const server = new Server();
    const commit = new GroupCommit(server.call);
    const kilo = 1024;
    const sizes = [100 * kilo, 100 * kilo, 100 * kilo, 300 * kilo, 1, 1];
    const results = sizes.map((size, id) => commit.add(item(id, size)));
    await turn();
    for (let call = 0; call < 4; call++) {
      server.calls[call]?.answer();
      await turn();
    }
    expect(server.calls.map(({ items }) => items)).toEqual([[0, 1], [2], [3], [4, 5]]);
    expect(await Promise.all(results)).toHaveLength(6);
  });
});

test('a call that fails fails its own batch, and the next goes on', async () => {
  const server = new Server();
  const commit = new GroupCommit(server.call);
  const lost = expect(commit.add(item(1))).rejects.toThrow('gone');
  await turn();
  server.calls[0]?.fail();
  await lost;
  const next = commit.add(item(2));
  await turn();
  server.calls[1]?.answer();
  expect(await next).toBe('answer 2');
});
