import { modelsSchema } from '../../schemas/config/models.ts';
import { tenantsSchema } from '../../schemas/config/tenants.ts';

/** Tenants with cycles and prices of their own beside the tutorial's default. */
export const tenants = tenantsSchema.parse({
  defaults: { capacity: 10_000, refill: 'daily', price_per_token: '0.0001', billing_cycle: { period: 'month' } },
  tenants: {
    acme: {},
    berlin: { price_per_token: '0.25', billing_cycle: { period: 'month', anchor_day: 31, timezone: 'Europe/Berlin' } },
    weekly: { price_per_token: '0.000000000001', billing_cycle: { period: 'week', anchor_day: 3 } },
  },
});

/** What a billing worker is told of these tenants. */
export const workerTerms = {
  config: () => ({ tenants, models: modelsSchema.parse({}) }),
  invoicing: { issuer: 'INV', graceMs: 0 },
};
