import { join } from 'node:path';
import { afterEach, describe, expect, test, vi } from 'vitest';
import type { CpuTime } from '../../runtime/cpu-time.ts';
import { compiled, packageRoot } from '../../runtime/package-root.ts';
import { eventually } from '../../test/helpers/eventually.ts';
import { readBundle } from './bundle.ts';
import { Evaluator } from './evaluator.ts';
import { PolicyThread } from './policy-thread.ts';

const TIMEOUT_MS = 250;

const TOO_LONG = (ms: number) => new RegExp(`^the evaluation took longer than ${ms} ms$`);
const TOO_MANY = /too many that do are waiting/;

let evaluator: Evaluator | undefined;

interface Opened {
  memoryPages?: number;
  timeoutMs?: number;
  cpuTime?: CpuTime;
}

async function open(
  bundle: string,
  { memoryPages = 1_024, timeoutMs = TIMEOUT_MS, ...more }: Opened = {},
): Promise<Evaluator> {
  const { data, wasm } = await readBundle(join(packageRoot, 'test/policies', bundle));
  evaluator = await Evaluator.open({
    wasm,
    data: JSON.stringify(data),
    timeoutMs,
    memoryPages,
    threadFile: compiled('sidecar/policy/evaluation-thread.js'),
    ...more,
  });
  return evaluator;
}

afterEach(() => evaluator?.close());

describe('a plain policy', () => {
  test('says what it is made of', async () => {
    const { contents } = await open('plain.tar.gz');
    expect(contents.entrypoints).toEqual(expect.arrayContaining(['authz/plain/allow', 'authz/plain/echo']));
  });

  test.each(['null', 'false', '0', '""', '[]', '{}', '"text"', '{"__proto__":{"a":1}}'])(
    'sees %s as it was given',
    async (input) => {
      const { echo } = { echo: await (await open('plain.tar.gz')).evaluate('authz/plain/echo', input) };
      expect(JSON.stringify(echo)).toBe(`{"ok":true,"value":${input}}`);
    },
  );

  test('is undefined where it reads input that is not given', async () => {
    expect(await (await open('plain.tar.gz')).evaluate('authz/plain/echo', undefined)).toEqual({ ok: true });
  });

  test('many at once are each answered with their own', async () => {
    const echoing = await open('plain.tar.gz');
    const inputs = Array.from({ length: 500 }, (_, index) => JSON.stringify({ index }));
    const results = await Promise.all(inputs.map((input) => echoing.evaluate('authz/plain/echo', input)));
    expect(results).toEqual(inputs.map((input) => ({ ok: true, value: JSON.parse(input) })));
  });

  test('no more than 10,000 wait for their turn; who is one too many is told at once', {
    timeout: 60_000,
  }, async () => {
    const echoing = await open('plain.tar.gz');
    const waiting = Array.from({ length: 10_000 }, () => echoing.evaluate('authz/plain/echo', '1'));
    const refused = { ok: false, message: 'too many evaluations are waiting (10000 at most)' };
    expect(await echoing.evaluate('authz/plain/echo', '1')).toEqual(refused);
    expect(new Set((await Promise.all(waiting)).map((result) => JSON.stringify(result)))).toEqual(
      new Set(['{"ok":true,"value":1}']),
    );
    expect(await echoing.evaluate('authz/plain/echo', '2')).toEqual({ ok: true, value: 2 });
  });
});

describe('a hostile policy', () => {
  const harmless = (index: number) => evaluator?.evaluate('test/hostile/harmless', `{"n":${index}}`);

  test('that loops is ended, alone, and others are answered within a second', async () => {
    const hostile = await open('hostile.tar.gz');
    const start = performance.now();
    const [first, looping, last] = await Promise.all([
      harmless(1),
      hostile.evaluate('test/hostile/loop', '{"n":100000}'),
      harmless(2),
    ]);
    expect(performance.now() - start).toBeLessThan(TIMEOUT_MS + 1_000);
    expect(looping).toEqual({ ok: false, message: `the evaluation took longer than ${TIMEOUT_MS} ms` });
    expect([first, last]).toEqual([
      { ok: true, value: 1 },
      { ok: true, value: 2 },
    ]);
  });

  test('that has two values gives an error, and the next evaluation is right', async () => {
    const hostile = await open('hostile.tar.gz');
    const conflict = await hostile.evaluate('test/hostile/conflict', '{"n":2}');
    expect(conflict).toMatchObject({ ok: false, message: expect.stringMatching(/conflict/) });
    expect(await harmless(3)).toEqual({ ok: true, value: 3 });
  });

  test('that takes too much memory gives an error, and the next evaluation is right', async () => {
    const hostile = await open('hostile.tar.gz', { memoryPages: 64 });
    expect(await hostile.evaluate('test/hostile/memory', '{"n":1000}')).toMatchObject({ ok: false });
    expect(await harmless(4)).toEqual({ ok: true, value: 4 });
  });

  test('an entrypoint that is not there is an error', async () => {
    expect(await (await open('hostile.tar.gz')).evaluate('test/nope', '{}')).toMatchObject({
      ok: false,
      message: expect.stringMatching(/not valid/),
    });
  });
});

test('a job that comes while the thread is being replaced is answered', async () => {
  const hostile = await open('hostile.tar.gz');
  const looping = hostile.evaluate('test/hostile/loop', '{"n":100000}');
  const harmless: Promise<unknown>[] = [];
  const asking = setInterval(() => harmless.push(hostile.evaluate('test/hostile/harmless', '{"n":5}')), 1);
  expect(await looping).toMatchObject({ ok: false });
  await Promise.all(harmless);
  clearInterval(asking);
  expect(harmless.length).toBeGreaterThan(10);
  for (const answer of harmless) expect(await answer).toEqual({ ok: true, value: 5 });
});

describe('evaluations that take long', () => {
  const MINUTE_MS = 60_000;
  const loop = (n: number) => evaluator?.evaluate('test/hostile/loop', `{"n":${n}}`);
  const harmless = (n: number) => evaluator?.evaluate('test/hostile/harmless', `{"n":${n}}`);
  const quietly = (asked: Promise<unknown> | undefined) => asked?.catch(() => 'closed');

  test.each([1, 2, 3, 10, 64])(
    '%i that may go on for a minute keep nobody waiting, whoever came first',
    async (loops) => {
      await open('hostile.tar.gz', { timeoutMs: MINUTE_MS });
      const asked: Promise<unknown>[] = [];
      let ended = 0;
      for (let n = 0; n < loops; n++) {
        asked.push(Promise.resolve(harmless(n)));
        void loop(100_000 + n)?.then(
          () => ended++,
          () => {},
        );
      }
      asked.push(Promise.resolve(harmless(loops)));
      expect(await Promise.all(asked)).toEqual(asked.map((_, n) => ({ ok: true, value: n })));
      expect(ended).toBe(0);
      // And those who come while they go on.
      expect(await harmless(7)).toEqual({ ok: true, value: 7 });
      expect(ended).toBe(0);
    },
  );

  test.each([10, 64])('behind %i others wait for less than a second', { timeout: 60_000 }, async (loops) => {
    const waits: number[] = [];
    for (let round = 0; round < 3; round++) {
      await open('hostile.tar.gz');
      const looping = Array.from({ length: loops }, (_, n) => quietly(loop(100_000 + n)));
      const start = performance.now();
      expect(await harmless(1)).toEqual({ ok: true, value: 1 });
      waits.push(performance.now() - start);
      await evaluator?.close();
      await Promise.all(looping);
    }
    // A busy machine is not what is looked at.
    expect(Math.min(...waits)).toBeLessThan(1_000);
  });

  test('one that needs its time has its answer, and others before it', async () => {
    await open('hostile.tar.gz', { timeoutMs: MINUTE_MS });
    const answered: string[] = [];
    const long = loop(3_000)?.then((result) => {
      answered.push('long');
      return result;
    });
    const short = harmless(1)?.then(() => answered.push('short'));
    expect(await long).toEqual({ ok: true, value: 3_000 });
    await short;
    expect(answered).toEqual(['short', 'long']);
  });

  test('one that needs its time has its answer also while others loop', async () => {
    await open('hostile.tar.gz', { timeoutMs: 1_000 });
    const looping = Array.from({ length: 2 }, (_, n) => loop(100_000 + n));
    const results = await Promise.all([loop(800), loop(801), ...looping]);
    expect(results.slice(0, 2)).toEqual([
      { ok: true, value: 800 },
      { ok: true, value: 801 },
    ]);
    for (const result of results.slice(2))
      expect(result).toMatchObject({ ok: false, message: expect.stringMatching(TOO_LONG(1_000)) });
  });

  test('of many some have their time, and the others are told that too many wait', { timeout: 60_000 }, async () => {
    await open('hostile.tar.gz', { timeoutMs: 100 });
    const results = await Promise.all(Array.from({ length: 200 }, (_, n) => loop(100_000 + n)));
    const said = results.map((result) => (result?.ok ? 'ended' : result?.message));
    const kinds = [TOO_LONG(100), TOO_MANY];
    expect(said.filter((message) => !kinds.some((kind) => kind.test(`${message}`)))).toEqual([]);
    for (const kind of kinds) expect(said.some((message) => kind.test(`${message}`))).toBe(true);
    expect(await harmless(1)).toEqual({ ok: true, value: 1 });
  });

  test('the same again is refused at once, and no other', async () => {
    await open('hostile.tar.gz');
    expect(await loop(100_000)).toMatchObject({ ok: false, message: expect.stringMatching(TOO_LONG(TIMEOUT_MS)) });
    expect(await loop(100_000)).toMatchObject({
      ok: false,
      message: expect.stringMatching(/when it was last asked for/),
    });
    expect(await loop(100_001)).toMatchObject({ ok: false, message: expect.stringMatching(TOO_LONG(TIMEOUT_MS)) });
    expect(await loop(10)).toEqual({ ok: true, value: 10 });
  });

  test('the same again has another try where the machine stood still: the process had no CPU meanwhile', async () => {
    await open('hostile.tar.gz', { cpuTime: () => 0 });
    for (let time = 0; time < 2; time++)
      expect(await loop(100_000)).toMatchObject({ ok: false, message: expect.stringMatching(TOO_LONG(TIMEOUT_MS)) });
  });

  test('threads: one, a second where it is needed, and one again when it is not', async () => {
    const started = vi.spyOn(PolicyThread, 'start');
    const ended = vi.spyOn(PolicyThread.prototype, 'end');
    const threads = () => started.mock.calls.length - ended.mock.calls.length;
    await open('hostile.tar.gz', { timeoutMs: 100 });
    expect(threads()).toBe(1);
    let most = 0;
    const looking = setInterval(() => {
      most = Math.max(most, threads());
    }, 1);
    await Promise.all(Array.from({ length: 64 }, (_, n) => Promise.all([loop(100_000 + n), harmless(n)])));
    clearInterval(looking);
    expect(most).toBe(2);
    await eventually(() => expect(threads()).toBe(1));
    expect(await harmless(1)).toEqual({ ok: true, value: 1 });
    // One for each that loops would be 64 and more.
    expect(started.mock.calls.length).toBeLessThan(10);
    vi.restoreAllMocks();
  });

  test('are refused when it is closed', async () => {
    await open('hostile.tar.gz', { timeoutMs: MINUTE_MS });
    const looping = Array.from({ length: 3 }, (_, n) => loop(100_000 + n));
    const refused = looping.map((asked) => expect(asked).rejects.toThrow('closed'));
    await harmless(1);
    await evaluator?.close();
    await Promise.all(refused);
  });
});

test('of a replaced policy the thread is ended when nobody asks, and is there again for one who does', async () => {
  const plain = await open('plain.tar.gz');
  const echo = (n: number) => plain.evaluate('authz/plain/echo', `${n}`);
  const before = echo(1);
  plain.retire();
  expect(await before).toEqual({ ok: true, value: 1 });
  expect(plain.awake).toBe(true);
  await eventually(() => expect(plain.awake).toBe(false));
  expect(await echo(2)).toEqual({ ok: true, value: 2 });
  await eventually(() => expect(plain.awake).toBe(false));
});

test('megabytes of data, which take longer to load than a job may, cost an error and a loop nothing more', async () => {
  const { wasm } = await readBundle(join(packageRoot, 'test/policies/hostile.tar.gz'));
  const many = Array.from({ length: 100_000 }, (_, index) => ({ index, name: `name ${index}` }));
  const options = {
    wasm,
    data: JSON.stringify({ many }),
    timeoutMs: TIMEOUT_MS,
    memoryPages: 4_096,
    threadFile: compiled('sidecar/policy/evaluation-thread.js'),
  };
  const starts: number[] = [];
  for (let round = 0; round < 3; round++) {
    const large = await Evaluator.open(options);
    evaluator = large;
    const started = vi.spyOn(PolicyThread, 'start');
    const harmless = (n: number) => large.evaluate('test/hostile/harmless', `{"n":${n}}`);
    const [conflict, after] = await Promise.all([large.evaluate('test/hostile/conflict', '{"n":2}'), harmless(1)]);
    expect(conflict).toMatchObject({ ok: false, message: expect.stringMatching(/conflict/) });
    expect(after).toEqual({ ok: true, value: 1 });
    starts.push(started.mock.calls.length);
    started.mockRestore();
    const [loop, other] = await Promise.all([large.evaluate('test/hostile/loop', '{"n":100000}'), harmless(2)]);
    expect(loop).toMatchObject({ ok: false, message: expect.stringMatching(TOO_LONG(TIMEOUT_MS)) });
    expect(other).toEqual({ ok: true, value: 2 });
    await large.close();
  }
  // A busy machine is not what is looked at.
  expect(Math.min(...starts)).toBe(0);
});

test('what is no WebAssembly is refused', async () => {
  const options = {
    wasm: new Uint8Array([1, 2, 3]),
    data: '{}',
    timeoutMs: TIMEOUT_MS,
    memoryPages: 64,
    threadFile: compiled('sidecar/policy/evaluation-thread.js'),
  };
  await expect(Evaluator.open(options)).rejects.toThrow(/WebAssembly/);
});

test('after it is closed it refuses, also what was waiting', async () => {
  const closing = await open('hostile.tar.gz');
  const waiting = closing.evaluate('test/hostile/loop', '{"n":100000}');
  const refused = expect(waiting).rejects.toThrow('closed');
  await closing.close();
  await refused;
  await expect(closing.evaluate('test/hostile/harmless', '{}')).rejects.toThrow('closed');
});
