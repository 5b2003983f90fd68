import { expect, test } from 'vitest';
import { eventually } from '../../test/helpers/eventually.ts';
import { KnownSlow } from './known-slow.ts';

const job = (input: string | undefined, entrypoint = 'a/b') => ({ entrypoint, input });

test('knows a job by its entrypoint and its input', () => {
  const known = new KnownSlow();
  known.add(job('{"n":1}'));
  expect(known.has(job('{"n":1}'))).toBe(true);
  expect(known.has(job('{"n":2}'))).toBe(false);
  expect(known.has(job('{"n":1}', 'a/c'))).toBe(false);
});

test('no input is another than an empty one', () => {
  const known = new KnownSlow();
  known.add(job(undefined));
  expect(known.has(job(undefined))).toBe(true);
  expect(known.has(job(''))).toBe(false);
});

test('forgets after a while', async () => {
  const known = new KnownSlow({ forMs: 20 });
  known.add(job('1'));
  await eventually(() => expect(known.has(job('1'))).toBe(false));
});

test('of many it knows the last', () => {
  const known = new KnownSlow();
  for (let n = 0; n < 1_000; n++) known.add(job(`${n}`));
  const of = Array.from({ length: 1_000 }, (_, n) => known.has(job(`${n}`)));
  expect(of.filter(Boolean)).toHaveLength(256);
  expect(of.slice(-256).every(Boolean)).toBe(true);
});
