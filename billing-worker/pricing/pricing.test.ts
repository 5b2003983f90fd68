import { expect, test } from 'vitest';
import { tenantsSchema } from '../../schemas/config/tenants.ts';
import { formatUsd, pricePerToken } from './pricing.ts';

test('a tenant has its own price or the default, whatever it is called', () => {
  const tenants = tenantsSchema.parse({
    defaults: { capacity: 1, refill: 'daily', price_per_token: '0.0001', billing_cycle: { period: 'month' } },
    tenants: { acme: { price_per_token: '0.000000000001' }, globex: {} },
  });
  expect(pricePerToken(tenants, 'acme')).toBe('0.000000000001');
  for (const other of ['globex', 'unknown', '__proto__', 'constructor', 'toString']) {
    expect(pricePerToken(tenants, other)).toBe('0.0001');
  }
});

test.each([
  ['1.000000000000', '1.00'],
  ['0.000100000000', '0.0001'],
  ['0.000000000000', '0.00'],
  ['-12.500000000000', '-12.50'],
  ['123456789012345678.123456789012', '123456789012345678.123456789012'],
  ['100', '100.00'],
])('%s USD is shown as %s', (amount, shown) => {
  expect(formatUsd(amount)).toBe(shown);
});
