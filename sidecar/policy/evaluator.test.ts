import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { compiled, packageRoot } from '../../runtime/package-root.ts';
import { eventually } from '../../test/helpers/eventually.ts';
import { readBundle } from './bundle.ts';
import { Evaluator } from './evaluator.ts';

const TIMEOUT_MS = 250;

let evaluator: Evaluator | undefined;

async function open(bundle: string, memoryPages = 1_024): Promise<Evaluator> {
  const { data, wasm } = await readBundle(join(packageRoot, 'test/policies', bundle));
  evaluator = await Evaluator.open({
    wasm,
    data: JSON.stringify(data),
    timeoutMs: TIMEOUT_MS,
    memoryPages,
    threadFile: compiled('sidecar/policy/evaluation-thread.js'),
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
    const hostile = await open('hostile.tar.gz', 64);
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
