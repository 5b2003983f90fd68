import type { TenantsConfig } from '../../schemas/config/tenants.ts';

/**
 * USD per bucket token, as the decimal string of the configuration: the tenant's own, else the default. It is
 * multiplied in PostgreSQL, as `numeric`: 12 places times a whole number is exact, a double would not be.
 */
export function pricePerToken(tenants: TenantsConfig, tenantId: string): string {
  const own = Object.hasOwn(tenants.tenants, tenantId) ? tenants.tenants[tenantId] : undefined;
  return own?.price_per_token ?? tenants.defaults.price_per_token;
}

/** Exact money for people and programs: no needless zeros, but at least cents: `1.00`, `0.0001`, `-12.50`. */
export function formatUsd(amount: string): string {
  const [whole, fraction = ''] = amount.split('.');
  return `${whole}.${fraction.replace(/0+$/, '').padEnd(2, '0')}`;
}
