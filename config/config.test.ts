import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import type { z } from 'zod';
import { modelsSchema } from '../schemas/config/models.ts';
import { tenantsSchema } from '../schemas/config/tenants.ts';

const load = async <Schema extends z.ZodType>(name: string, schema: Schema): Promise<z.output<Schema>> =>
  schema.parse(parse(await readFile(new URL(name, import.meta.url), 'utf8')));

/** The documentation's examples and figures hold for the configuration that is shipped. */
test('the tenants are those of the tutorial', async () => {
  expect(await load('tenants.yaml', tenantsSchema)).toEqual({
    defaults: {
      capacity: 10_000,
      refill: 'daily',
      price_per_token: '0.0001',
      billing_cycle: { period: 'month', anchor_day: 1, timezone: 'UTC' },
    },
    unknown_tenants: 'default',
    tenants: { acme: {}, globex: { capacity: 50_000 } },
  });
});

test('the models have the printed prices', async () => {
  const { models } = await load('models.yaml', modelsSchema);
  const prices = Object.entries(models).map(([id, { input, output }]) => [id, input, output]);
  expect(prices).toEqual([
    ['anthropic/claude-sonnet-4-5', '3.00', '15.00'],
    ['anthropic/claude-haiku-4-5', '0.80', '4.00'],
    ['anthropic/claude-3-haiku', '0.25', '1.25'],
    ['bedrock/nova-micro', '0.035', '0.14'],
    ['bedrock/nova-lite', '0.06', '0.24'],
  ]);
});

test('the weights are what the comment in models.yaml says they are', async () => {
  const { models } = await load('models.yaml', modelsSchema);
  const { defaults } = await load('tenants.yaml', tenantsSchema);
  for (const [id, { input, output, weight }] of Object.entries(models)) {
    const request = (1_000 * Number(input) + 500 * Number(output)) / 1_000_000;
    expect(weight, id).toBe(Math.round(request / Number(defaults.price_per_token)));
  }
});

test('every name stands for one model', async () => {
  const { models } = await load('models.yaml', modelsSchema);
  const names = Object.entries(models).flatMap(([id, { aliases }]) => [id, ...aliases]);
  expect(names).toContain('anthropic/claude-sonnet-4-5-20250301');
  expect(new Set(names).size).toBe(names.length);
});
