import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { TestClock } from '../../../test/helpers/clock.ts';
import { CountersUnavailable } from '../contract.ts';
import { GroupCommit, type GroupCommitOptions } from './group-commit.ts';

const clock = new TestClock();
const OPTIONS = { clock, timeoutMs: 250, callsArePaid: false };

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

/** So many at once, in a turn of their own; `results`: of all that have arrived. */
function arriving(commit: GroupCommit<Item, string>) {
  const results: Promise<string>[] = [];
  const arrive = async (count: number) => {
    for (let each = 0; each < count; each++) results.push(commit.add(item(results.length)));
    await turn();
  };
  return { arrive, results };
}

describe('what arrives together goes together', () => {
  test('in one call, in order, each answered with its own', async () => {
    const server = new Server();
    const commit = new GroupCommit(server.call, OPTIONS);
    const results = [1, 2, 3].map((id) => commit.add(item(id)));
    await turn();
    expect(server.calls.map(({ items }) => items)).toEqual([[1, 2, 3]]);
    server.calls[0]?.answer();
    expect(await Promise.all(results)).toEqual(['answer 1', 'answer 2', 'answer 3']);
  });

  test('what arrives while two calls are in flight shares the next one', async () => {
    const server = new Server();
    const commit = new GroupCommit(server.call, OPTIONS);
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
    const commit = new GroupCommit(server.call, OPTIONS);
    const results = Array.from({ length: 100 }, (_, id) => commit.add(item(id)));
    await turn();
    server.calls[0]?.answer();
    await turn();
    expect(server.calls.map(({ items }) => items.length)).toEqual([64, 36]);
    server.calls[1]?.answer();
    expect(await Promise.all(results)).toHaveLength(100);
  });

  test('a second call goes beside one of few, and beside one of many only when it is full', async () => {
    const server = new Server();
    const commit = new GroupCommit(server.call, OPTIONS);
    const lengths = () => server.calls.map(({ items }) => items.length);
    const { arrive, results } = arriving(commit);
    await arrive(2);
    await arrive(3);
    expect(lengths()).toEqual([2, 3]);
    server.calls[0]?.answer();
    await turn();
    await arrive(63);
    expect(lengths()).toEqual([2, 3]);
    await arrive(1);
    expect(lengths()).toEqual([2, 3, 64]);
    for (const call of server.calls) call.answer();
    expect(await Promise.all(results)).toHaveLength(69);
  });

  test('no more than 256 Ki characters to a call; what is larger goes alone', async () => {
    const server = new Server();
    const commit = new GroupCommit(server.call, OPTIONS);
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
  const commit = new GroupCommit(server.call, OPTIONS);
  const lost = expect(commit.add(item(1))).rejects.toThrow('gone');
  await turn();
  server.calls[0]?.fail();
  await lost;
  const next = commit.add(item(2));
  await turn();
  server.calls[1]?.answer();
  expect(await next).toBe('answer 2');
});

describe('where the store is a network away', () => {
  /** Longer than a call may be away before another one goes. */
  const later = async () => {
    clock.advance(2);
    await sleep(20);
  };
  const lengths = (server: Server) => server.calls.map(({ items }) => items.length);
  /** By what calls take that nobody else is beside, but for one. */
  const away = async (options: Partial<GroupCommitOptions> = {}, fastestMs = 2) => {
    const server = new Server();
    const commit = new GroupCommit(server.call, { ...OPTIONS, ...options });
    for (let call = 0; call < 32; call++) {
      const [answer] = await arrive(commit, 1);
      clock.advance(call === 9 ? fastestMs : 50);
      server.calls[call]?.answer();
      await answer;
    }
    server.calls.length = 0;
    return { server, commit };
  };
  const arrive = async (commit: GroupCommit<Item, string>, count: number) => {
    const results = Array.from({ length: count }, (_, id) => commit.add(item(id)));
    await turn();
    return results;
  };

  test('who came behind a call that is long away goes in another, without anybody else coming', async () => {
    const { commit, server } = await away();
    const results = [...(await arrive(commit, 10)), ...(await arrive(commit, 5)), ...(await arrive(commit, 1))];
    expect(lengths(server)).toEqual([10]);
    await later();
    expect(lengths(server)).toEqual([10, 6]);
    for (const call of server.calls) call.answer();
    expect(await Promise.all(results)).toHaveLength(16);
  });

  test('no more than sixteen calls are away', async () => {
    const { commit, server } = await away();
    const results = [];
    for (let call = 0; call < 18; call++) {
      results.push(...(await arrive(commit, 3)));
      await later();
    }
    expect(lengths(server)).toEqual(Array(16).fill(3));
    server.calls[7]?.answer();
    await turn();
    expect(lengths(server).at(-1)).toBe(6);
    for (const call of server.calls) call.answer();
    expect(await Promise.all(results)).toHaveLength(54);
  });

  test('no more calls are away than a server that is slow, and not far, does in turn in half of the time that each may take', async () => {
    const { commit, server } = await away({ timeoutMs: 250 }, 30);
    const results = [];
    for (let call = 0; call < 6; call++) {
      results.push(...(await arrive(commit, 3)));
      await later();
    }
    expect(lengths(server)).toEqual(Array(4).fill(3));
    server.calls[0]?.answer();
    await turn();
    for (const call of server.calls) call.answer();
    expect(await Promise.all(results)).toHaveLength(18);
  });

  test.for([
    ['where each call is paid for', { callsArePaid: true }, 2],
    ['where one of thirty-two calls was back sooner: it is near, and busy', {}, 1.9],
  ] as const)('%s, all wait for the one that is away', async ([, options, fastestMs]) => {
    const { commit, server } = await away(options, fastestMs);
    const results = [...(await arrive(commit, 10)), ...(await arrive(commit, 5))];
    await later();
    expect(lengths(server)).toEqual([10]);
    server.calls[0]?.answer();
    await turn();
    expect(lengths(server)).toEqual([10, 5]);
    server.calls[1]?.answer();
    expect(await Promise.all(results)).toHaveLength(15);
  });
});

describe('where each call is paid for', () => {
  const paid = (server: Server) => new GroupCommit(server.call, { ...OPTIONS, callsArePaid: true });

  test('another goes beside one of many as soon as sixteen wait for it, and no third while the store is near', async () => {
    const server = new Server();
    const commit = paid(server);
    const lengths = () => server.calls.map(({ items }) => items.length);
    const { arrive, results } = arriving(commit);
    await arrive(20);
    await arrive(15);
    expect(lengths()).toEqual([20]);
    await arrive(1);
    expect(lengths()).toEqual([20, 16]);
    await arrive(40);
    expect(lengths()).toEqual([20, 16]);
    server.calls[0]?.answer();
    await turn();
    expect(lengths()).toEqual([20, 16, 40]);
    for (const call of server.calls) call.answer();
    expect(await Promise.all(results)).toHaveLength(76);
  });

  test('a third and more while the store is far', async () => {
    const server = new Server();
    const commit = paid(server);
    for (let call = 0; call < 32; call++) {
      const answer = commit.add(item(call));
      await turn();
      clock.advance(10);
      server.calls[call]?.answer();
      await answer;
    }
    server.calls.length = 0;
    const { arrive, results } = arriving(commit);
    for (const count of [16, 16, 15, 1, 20]) await arrive(count);
    expect(server.calls.map(({ items }) => items.length)).toEqual([16, 16, 16, 20]);
    for (const call of server.calls) call.answer();
    expect(await Promise.all(results)).toHaveLength(68);
  });
});

describe('behind a store that is slow', () => {
  test('nobody waits for longer than four time-outs, and who does is not sent', async () => {
    const server = new Server();
    const commit = new GroupCommit(server.call, OPTIONS);
    const first = [commit.add(item(1))];
    await turn();
    first.push(commit.add(item(2)));
    await turn();
    const late = expect(commit.add(item(3))).rejects.toThrow(CountersUnavailable);
    clock.advance(1_000);
    const inTime = commit.add(item(4));
    server.calls[0]?.answer();
    await late;
    await turn();
    expect(server.calls.map(({ items }) => items)).toEqual([[1], [2], [4]]);
    for (const call of server.calls) call.answer();
    expect(await Promise.all([...first, inTime])).toEqual(['answer 1', 'answer 2', 'answer 4']);
  });

  test('no more than 10,000 wait; who is one too many is told at once', async () => {
    const server = new Server();
    const commit = new GroupCommit(server.call, OPTIONS);
    const waiting = Array.from({ length: 10_000 }, (_, id) => commit.add(item(id)));
    await expect(commit.add(item(-1))).rejects.toThrow('too many takes wait');
    await turn();
    // Two calls of 64 are under way: so many may come again.
    for (let id = 0; id < 128; id++) waiting.push(commit.add(item(id)));
    await expect(commit.add(item(-1))).rejects.toThrow(CountersUnavailable);
    for (let call = 0; call < server.calls.length; call++) {
      server.calls[call]?.answer();
      await turn();
    }
    expect(await Promise.all(waiting)).toHaveLength(10_128);
  });
});
