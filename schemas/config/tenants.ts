import { z } from 'zod';
import { amountSchema, decimalSchema } from '../amounts.ts';
import { isTimeZone } from '../time-zone.ts';

const timezone = z.string().refine(isTimeZone, {
  error: 'must be a known time zone, an IANA name such as "Europe/Berlin"',
});

/** When a tenant's billing cycle begins: on `anchor_day` of each month (29–31: its last day), or ISO weekday 1–7. */
const billingCycleSchema = z.discriminatedUnion('period', [
  z.strictObject({
    period: z.literal('month'),
    anchor_day: z.int().min(1).max(31).default(1),
    timezone: timezone.default('UTC'),
  }),
  z.strictObject({
    period: z.literal('week'),
    anchor_day: z.int().min(1).max(7).default(1),
    timezone: timezone.default('UTC'),
  }),
]);

const refill = z.enum(['hourly', 'daily', 'weekly']);

const tenantSchema = z.strictObject({
  /** What the bucket holds, in tokens. */
  capacity: amountSchema.optional(),
  /** The whole capacity again after this long, counted from the first use of a full bucket. */
  refill: refill.optional(),
  price_per_token: decimalSchema.optional(),
  billing_cycle: billingCycleSchema.optional(),
});

/** `config/tenants.yaml`. */
export const tenantsSchema = z.strictObject({
  defaults: z.strictObject({
    capacity: amountSchema,
    refill,
    price_per_token: decimalSchema,
    billing_cycle: billingCycleSchema,
  }),
  unknown_tenants: z.enum(['default', 'deny']).default('default'),
  tenants: z
    .record(
      z.string().min(1),
      tenantSchema.nullable().transform((tenant) => tenant ?? {}),
    )
    .default({}),
});

export type TenantsConfig = z.infer<typeof tenantsSchema>;
export type BillingCycle = z.infer<typeof billingCycleSchema>;
