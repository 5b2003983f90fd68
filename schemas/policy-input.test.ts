import { join } from 'node:path';
import { expect, test } from 'vitest';
import { loadConfig } from '../runtime/config/files.ts';
import { policyData } from '../runtime/config/policy-data.ts';
import { packageRoot } from '../runtime/package-root.ts';
import { policyConfigSchema, policyInputSchema } from './policy-input.ts';

const properties = (schema: { shape: object }) => Object.keys(schema.shape).sort();

test('names every part of the configuration that policies see', () => {
  const config = policyData(loadConfig(join(packageRoot, 'config')));
  expect(properties(policyConfigSchema)).toEqual(Object.keys(config).sort());
});

test('leaves out what no policy sees', () => {
  expect(properties(policyInputSchema)).not.toContain('request_id');
  expect(properties(policyInputSchema)).not.toContain('run_id');
});

test('takes an outcome in bands and one in numbers', () => {
  const band = { id: 'tenant:acme:tokens', granted: true, over: false, crossed: [75], on_exceed: 'deny' };
  const numbers = {
    capacity: 9,
    before: 1,
    used: 2,
    remaining: 7,
    used_percent: 22,
    reset_at: 5,
    retry_after_ms: null,
  };
  const gate = { gate: 'cooldown:lab/large', candidate: 'lab/large', until: 7 };
  const take = (limits: object[], closed: unknown[]) =>
    policyInputSchema.safeParse({
      tenant_id: 'acme',
      shoe_size: 43,
      outcome: { granted: true, candidate: null, closed, limits },
    }).success;
  expect(take([band], [{ gate: 'cooldown:lab/large', candidate: 'lab/large' }])).toBe(true);
  expect(take([{ ...band, ...numbers }], [gate])).toBe(true);
  expect(take([{ ...band, grantd: true }], [])).toBe(false);
});
