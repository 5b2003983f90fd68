import { pino } from 'pino';
import { ErrorReply } from 'redis';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { TestClock } from '../../test/helpers/clock.ts';
import { type BreakerOptions, isRedisAway, withBreaker } from './breaker.ts';
import { CountersUnavailable } from './contract.ts';
import type { Connection } from './redis/connection.ts';

const SCRIPT = { name: 'take-3', source: '', sha: '' };

const away = (cause: Error = new Error('no answer within 250 ms')) => new CountersUnavailable('Redis', { cause });
const answered = (message: string) => away(new ErrorReply(message));

/** A connection of which the test says what each call comes to. */
class Scripted implements Connection {
  readonly callsArePaid = false;
  calls = 0;
  probes = 0;
  outcome: () => Promise<unknown> = async () => 'done';
  probe: () => Promise<unknown> = () => this.outcome();

  run(): Promise<unknown> {
    this.calls += 1;
    return this.outcome();
  }

  async get(): Promise<string | null> {
    return (await this.run()) as string;
  }

  async getFields(): Promise<(string | null)[]> {
    return (await this.run()) as string[];
  }

  async ping(): Promise<void> {
    this.probes += 1;
    await this.probe();
  }

  async close(): Promise<void> {}
}

function deferred() {
  const settle = { resolve: (_: unknown) => {}, reject: (_: Error) => {} };
  const promise = new Promise((resolve, reject) => Object.assign(settle, { resolve, reject }));
  return {
    promise,
    resolve: (value: unknown) => settle.resolve(value),
    reject: (error: Error) => settle.reject(error),
  };
}

const fails = (error: Error) => () => Promise.reject(error);

function guarded(options: Partial<BreakerOptions> = {}) {
  const server = new Scripted();
  const clock = new TestClock();
  const said: { level: number; msg: string; away_ms?: number }[] = [];
  const log = pino({ base: null }, { write: (line) => void said.push(JSON.parse(line)) });
  const connection = withBreaker(server, { clock, log, random: () => 0, ...options });
  const call = () => connection.run(SCRIPT, [], []).catch((error: Error) => error);
  const pass = async (ms: number) => {
    clock.advance(ms);
    await vi.advanceTimersByTimeAsync(ms);
  };
  const open = async () => {
    server.outcome = fails(away());
    for (let failure = 0; failure < 2; failure++) await call();
    server.calls = 0;
  };
  /** The next calls wait until the test says what they come to. */
  const hold = () => {
    const held = deferred();
    server.outcome = () => held.promise;
    return held;
  };
  return { server, connection, call, pass, open, said, hold };
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe('closed', () => {
  test('calls go through, and so does what they throw', async () => {
    const { server, call, connection } = guarded();
    expect(await call()).toBe('done');
    expect(await connection.get('key')).toBe('done');
    const error = away();
    server.outcome = fails(error);
    expect(await call()).toBe(error);
    expect(server.calls).toBe(3);
  });

  test('opens at the second failure in a row, and not at the second among others', async () => {
    const { server, call } = guarded();
    const outcomes = [away(), undefined, away(), answered('WRONGTYPE not a hash'), away(), undefined, away(), away()];
    for (const error of outcomes) {
      server.outcome = error ? fails(error) : async () => 'done';
      await call();
    }
    expect(server.calls).toBe(outcomes.length);
    await call();
    expect(server.calls).toBe(outcomes.length);
  });

  describe('after a failure, the next call waits for what is under way', () => {
    const afterOneFailure = async () => {
      const { server, call, hold } = guarded();
      const slow = hold();
      const held = call();
      server.outcome = fails(away());
      await call();
      server.outcome = async () => 'done';
      const next = Promise.all([call(), call(), call()]);
      await vi.advanceTimersByTimeAsync(0);
      expect(server.calls).toBe(2);
      return { server, slow, held, next };
    };

    test('and is not made if that fails too', async () => {
      const { server, slow, held, next } = await afterOneFailure();
      slow.reject(away());
      await held;
      for (const error of await next) expect(error).toBeInstanceOf(CountersUnavailable);
      expect(server.calls).toBe(2);
    });

    test('and is made if that is answered', async () => {
      const { server, slow, held, next } = await afterOneFailure();
      slow.resolve('slow');
      expect(await held).toBe('slow');
      expect(await next).toEqual(['done', 'done', 'done']);
      expect(server.calls).toBe(5);
    });
  });

  test('many that fail together open it once', async () => {
    const { server, call, said } = guarded();
    server.outcome = fails(away());
    await Promise.all(Array.from({ length: 50 }, call));
    expect(server.calls).toBe(50);
    expect(said).toHaveLength(1);
  });
});

describe('open', () => {
  test('every call is refused at once, with the reason, and nothing is asked', async () => {
    const { server, connection, call, open } = guarded();
    await open();
    const refusal = await call();
    expect(refusal).toBeInstanceOf(CountersUnavailable);
    expect((refusal as Error).message).toBe('Redis (not asked again until it answers)');
    await expect(connection.get('key')).rejects.toThrow(CountersUnavailable);
    await expect(connection.ping()).rejects.toThrow(CountersUnavailable);
    expect(server.calls + server.probes).toBe(0);
  });

  test('a call that was under way is waited for, and does not close it', async () => {
    const { server, call, hold } = guarded();
    const slow = hold();
    const held = call();
    server.outcome = fails(away());
    await Promise.all([call(), call()]);
    expect(await call()).toBeInstanceOf(CountersUnavailable);
    slow.resolve('late');
    expect(await held).toBe('late');
    expect(await call()).toBeInstanceOf(CountersUnavailable);
    expect(server.calls).toBe(3);
  });
});

describe('half open', () => {
  test('one probe, however many call while it is under way', async () => {
    const { server, call, open, pass, hold } = guarded();
    await open();
    const probe = hold();
    await pass(60_000);
    const refused = await Promise.all(Array.from({ length: 50 }, call));
    expect(refused.every((error) => error instanceof CountersUnavailable)).toBe(true);
    expect(server).toMatchObject({ probes: 1, calls: 0 });
    server.outcome = async () => 'done';
    probe.resolve('pong');
    await pass(0);
    expect(await call()).toBe('done');
  });

  test('waits double up to the longest', async () => {
    const { server, open, pass } = guarded({ firstWaitMs: 100, longestWaitMs: 1_000 });
    await open();
    const waits: number[] = [];
    for (let waited = 0, seen = 0; waits.length < 6; waited += 10) {
      if (server.probes > seen) {
        waits.push(waited);
        [seen, waited] = [server.probes, 0];
      }
      await pass(10);
    }
    expect(waits).toEqual([100, 200, 400, 800, 1_000, 1_000]);
  });

  test('chance cuts a wait by up to half', async () => {
    for (const [random, wait] of [
      [0, 100],
      [0.5, 75],
      [0.999, 50.05],
    ] as const) {
      const { server, open, pass } = guarded({ random: () => random });
      await open();
      await pass(Math.floor(wait) - 1);
      expect(server.probes).toBe(0);
      await pass(2);
      expect(server.probes).toBe(1);
    }
  });

  test('an error that says that the server is there closes it', async () => {
    const { server, call, open, pass } = guarded();
    await open();
    server.outcome = fails(answered('OOM command not allowed'));
    await pass(100);
    await call();
    expect(server).toMatchObject({ probes: 1, calls: 1 });
  });

  test('closed again, it takes as many failures as the first time to open it', async () => {
    const { server, call, open, pass, said } = guarded();
    await open();
    server.outcome = async () => 'done';
    await pass(100);
    server.outcome = fails(away());
    for (let failure = 0; failure < 5; failure++) await call();
    expect(server.calls).toBe(2);
    expect(said.map(({ msg }) => msg.split(';')[0])).toEqual([
      'the counters are away',
      'the counters are back',
      'the counters are away',
    ]);
  });
});

test('an outage is two lines in the log, with how long it was', async () => {
  const { server, call, open, pass, said } = guarded();
  await open();
  for (let second = 0; second < 30; second++) {
    await call();
    await pass(1_000);
  }
  server.outcome = async () => 'done';
  await pass(1_000);
  expect(server.probes).toBeGreaterThan(25);
  expect(said.map(({ level, away_ms }) => [level, away_ms])).toEqual([
    [50, undefined],
    [30, 31_000],
  ]);
});

test('closing ends the probes', async () => {
  const { server, connection, open, pass } = guarded();
  await open();
  await connection.close();
  await pass(60_000);
  expect(server.probes).toBe(0);
});

describe('what means that Redis is away', () => {
  test.each([
    ['no connection', away(new Error('The client is offline'))],
    ['no answer in time', away()],
    ['reading its files', answered('LOADING Redis is loading the dataset in memory')],
    ['a script that does not end', answered('BUSY Redis is busy running a script.')],
    ['a replica', answered("READONLY You can't write against a read only replica.")],
    ['a replica without its master', answered('MASTERDOWN Link with MASTER is down')],
    ['no replicas', answered('NOREPLICAS Not enough good replicas to write.')],
    ['a full disk', answered('MISCONF Redis is configured to save RDB snapshots')],
    ['slots without a server', answered('CLUSTERDOWN The cluster is down')],
  ])('%s', (_, error) => expect(isRedisAway(error)).toBe(true));

  test.each([
    ['OOM command not allowed when used memory > maxmemory.'],
    ['WRONGTYPE Operation against a key holding the wrong kind of value'],
    ['ERR limit x: cost is not a whole number'],
    ['NOSCRIPT No matching script.'],
    ['NOPERM this user has no permissions'],
    ['MOVED 3999 127.0.0.1:6381'],
    ['ASK 3999 127.0.0.1:6381'],
    ['TRYAGAIN Multiple keys request during rehashing of slot'],
    ['CROSSSLOT Keys in request do not hash to the same slot'],
    ['BUSYKEY Target key name already exists.'],
  ])('not: %s', (message) => expect(isRedisAway(answered(message))).toBe(false));

  test('not: a mistake of ours', () => expect(isRedisAway(new TypeError('x is not a function'))).toBe(false));
});
