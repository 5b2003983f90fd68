import { expect, test } from 'vitest';
import { LabelSets, type Labels } from './label-sets.ts';

const sets = (max: number) => {
  const made: Labels[] = [];
  return { made, of: new LabelSets(max, (labels) => made.push(labels) - 1) };
};

test('the first ones have their own, the others count together, by model', () => {
  const { made, of } = sets(2);
  expect([of.of('acme', 'alice', 'm'), of.of('acme', 'bob', 'm'), of.of('acme', 'alice', 'm')]).toEqual([0, 1, 0]);
  expect([of.of('acme', 'carol', 'm'), of.of('globex', 'dave', 'm'), of.of('globex', 'dave', 'n')]).toEqual([2, 2, 3]);
  expect(made.slice(2)).toEqual([
    { tenant: 'other', end_user: 'other', model: 'm' },
    { tenant: 'other', end_user: 'other', model: 'n' },
  ]);
  expect(of.size).toBe(2);
});

test('no more than 100 models are told apart of the others', () => {
  const { made, of } = sets(0);
  for (let n = 0; n < 1_000; n++) of.of('acme', 'alice', `model-${n}`);
  expect(made).toHaveLength(101);
  expect(made.at(-1)).toEqual({ tenant: 'other', end_user: 'other', model: 'other' });
});

test('long names are cut and stay different, and all of them together are bounded', () => {
  const { made, of } = sets(10);
  const long = 'ü'.repeat(100);
  expect(of.of(`${long}a`, '', 'm')).not.toBe(of.of(`${long}b`, '', 'm'));
  const names = made.map(({ tenant }) => tenant);
  expect(names.map((name) => name.replace(/[0-9a-f]{8}$/, ''))).toEqual(Array(2).fill(`${'ü'.repeat(12)}…`));
  for (let n = 0; n < 10; n++) of.of(`${'x'.repeat(60)}${n}`, 'y'.repeat(60), 'z'.repeat(60));
  expect(of.size).toBeLessThan(10);
  const bytes = made
    .slice(0, of.size)
    .reduce((sum, labels) => sum + Buffer.byteLength(Object.values(labels).join('')), 0);
  expect(bytes).toBeLessThanOrEqual(640);
});

test('somebody may be called other, or like what every object has', () => {
  const { made, of } = sets(10);
  of.of('other', 'other', 'other');
  of.of('__proto__', 'constructor', 'toString');
  expect(made).toEqual([
    { tenant: '"other"', end_user: '"other"', model: '"other"' },
    { tenant: '__proto__', end_user: 'constructor', model: 'toString' },
  ]);
});
