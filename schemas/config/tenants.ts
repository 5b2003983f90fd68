import { z } from 'zod';
import { amountSchema, decimalSchema } from '../amounts.ts';
import { isTimeZone } from '../time-zone.ts';
import { planChoiceSchema, planSchema } from './plans.ts';
import { wrongPlans } from './tenant-plans.ts';

const timezone = z
  .string()
  .refine(isTimeZone, { error: 'must be a known time zone, an IANA name such as "Europe/Berlin"' })
  .default('UTC');

const monthDay = z.int().min(1).max(31).default(1);

/**
 * When a tenant's billing cycle begins: on ISO weekday `anchor_day` 1–7; or on `anchor_day` of each month, of the
 * `anchor_month`th month of each quarter, or of the year's. 29–31 in a shorter month: its last day.
 */
const billingCycleSchema = z.discriminatedUnion('period', [
  z.strictObject({ period: z.literal('month'), anchor_day: monthDay, timezone }),
  z.strictObject({ period: z.literal('week'), anchor_day: z.int().min(1).max(7).default(1), timezone }),
  z.strictObject({
    period: z.literal('quarter'),
    anchor_day: monthDay,
    anchor_month: z.int().min(1).max(3).default(1),
    timezone,
  }),
  z.strictObject({
    period: z.literal('year'),
    anchor_day: monthDay,
    anchor_month: z.int().min(1).max(12).default(1),
    timezone,
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
  plan: planChoiceSchema.optional(),
  /** Who it is at Stripe; a customer is made for it where this is not given. */
  stripe_customer: z
    .string()
    .regex(/^cus_\w{1,250}$/, { error: 'must be the id of a customer of Stripe, such as "cus_NffrFeUfNV2Hib"' })
    .optional(),
});

/** `config/tenants.yaml`. */
export const tenantsSchema = z
  .strictObject({
    defaults: z.strictObject({
      capacity: amountSchema,
      refill,
      price_per_token: decimalSchema,
      billing_cycle: billingCycleSchema,
      plan: planChoiceSchema.optional(),
    }),
    unknown_tenants: z.enum(['default', 'deny']).default('default'),
    plans: z.record(z.string().min(1), planSchema).optional(),
    tenants: z
      .record(
        z.string().min(1),
        tenantSchema.nullable().transform((tenant) => tenant ?? {}),
      )
      .default({}),
  })
  .superRefine((config, context) => {
    for (const { message, path } of wrongPlans(config)) context.addIssue({ code: 'custom', path, message });
  });

export type TenantsConfig = z.infer<typeof tenantsSchema>;
export type BillingCycle = z.infer<typeof billingCycleSchema>;
