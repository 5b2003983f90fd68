import { expect, test } from 'vitest';
import { z } from 'zod';
import { wrongBody } from './wrong-body.ts';

const schema = z.strictObject({ many: z.record(z.string(), z.int()).optional(), one: z.int() });

const told = (value: unknown) => wrongBody(schema.safeParse(value).error as z.ZodError).body;

test('each member that is wrong is told', () => {
  expect(told({ one: 'x', two: 2 })).toMatchObject({
    code: 'invalid_parameter',
    message: expect.stringMatching(/^one: .*; body: .*two/),
    errors: [{ code: 'invalid_parameter' }, { code: 'invalid_parameter' }],
  });
});

test('of a hundred thousand that are wrong twenty are told, and of a long one its beginning', () => {
  const many = Object.fromEntries(Array.from({ length: 100_000 }, (_, i) => [`k${i}`, 'x']));
  const answer = told({ one: 1, many });
  expect(answer.errors).toHaveLength(20);
  expect(answer.message).toMatch(/; and 99980 more$/);
  const long = told({ one: 1, ['x'.repeat(100_000)]: 1 });
  expect(JSON.stringify(long).length).toBeLessThan(1_500);
});
