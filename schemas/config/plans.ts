import { z } from 'zod';
import { amountSchema, decimalSchema } from '../amounts.ts';
import { currencySchema } from './currency.ts';
import { startSchema } from './start.ts';

const tierSchema = z.strictObject({
  /** The last token that it prices; the last tier has none and goes on for ever. */
  up_to: amountSchema.min(1).optional(),
  price_per_token: decimalSchema,
});

/** Four places: an amount of `model_tokens` has 18, and both together 24. */
const percentSchema = z
  .string({ error: 'must be percent in quotes, such as "20" or "12.5"' })
  .regex(/^\d{1,6}(\.\d{1,4})?$/, {
    error: 'must be percent in quotes, with at most 4 places, such as "20" or "12.5"',
  });

/** What a tenant pays for a cycle. Money is in `currency`; the rate card is in USD. */
export const planSchema = z
  .strictObject({
    currency: currencySchema.default('USD'),
    /** For each cycle, used or not. */
    base_fee: decimalSchema.optional(),
    /** Bucket tokens of a cycle that cost nothing more. */
    included_tokens: amountSchema.optional(),
    /** Of the bucket, above the included ones. With neither of the two it is what the tenant or the defaults say. */
    price_per_token: decimalSchema.optional(),
    /** Each prices the tokens of a cycle, above the included ones, from the end of the one before to its own. */
    tiers: z.array(tierSchema).min(1, { error: 'must have one tier at least' }).optional(),
    /** Whether LLM tokens are billed by `models.yaml`. The bucket's are then free but for a price here. */
    rate_card: z.boolean().default(false),
    /** On top of what the rate card comes to. */
    markup_percent: percentSchema.optional(),
    /** The least that a cycle costs. */
    minimum: decimalSchema.optional(),
  })
  .superRefine((plan, context) => {
    for (const [key, message] of wrongTogether(plan)) context.addIssue({ code: 'custom', path: [key], message });
    for (const [i, message] of wrongTiers(plan.tiers ?? []).entries()) {
      if (message) context.addIssue({ code: 'custom', path: ['tiers', i, 'up_to'], message });
    }
  });

export type Plan = z.infer<typeof planSchema>;

const planChangeSchema = z.strictObject({
  name: z.string().min(1),
  /** A date begins at the midnight of the tenant's billing cycle. */
  from: startSchema.optional(),
});

/** A tenant's plan, or its plans in the order of time. */
export const planChoiceSchema = z.union([z.string().min(1), z.array(planChangeSchema).min(1)], {
  error: 'must be the name of a plan, or a list such as [{ name: basic }, { name: pro, from: "2026-11-01" }]',
});

export type PlanChoice = z.infer<typeof planChoiceSchema>;
export type PlanChange = z.infer<typeof planChangeSchema>;

export const planChanges = (choice: PlanChoice | undefined): PlanChange[] =>
  typeof choice === 'string' ? [{ name: choice }] : (choice ?? []);

function wrongTogether({ currency, markup_percent, price_per_token, rate_card, tiers }: Plan): [string, string][] {
  const isPriced = price_per_token !== undefined || tiers !== undefined;
  return [
    ...problem('tiers', price_per_token !== undefined && tiers !== undefined, 'there is price_per_token as well'),
    ...problem('rate_card', rate_card && currency !== 'USD', `the rate card is in USD, and this plan in ${currency}`),
    ...problem(
      'markup_percent',
      markup_percent !== undefined && !rate_card,
      'is on the rate card: needs rate_card: true',
    ),
    ...problem(
      'currency',
      currency !== 'USD' && !rate_card && !isPriced,
      `needs price_per_token or tiers: those of tenants are in USD, and this plan in ${currency}`,
    ),
  ];
}

const problem = (key: string, isWrong: boolean, message: string): [string, string][] =>
  isWrong ? [[key, message]] : [];

function wrongTiers(tiers: { up_to?: number | undefined }[]): (string | undefined)[] {
  return tiers.map(({ up_to }, i) => {
    const before = tiers[i - 1]?.up_to ?? 0;
    if (i === tiers.length - 1) return up_to === undefined ? undefined : 'the last tier goes on for ever and has none';
    if (up_to === undefined) return 'is missing: the last tier alone has none';
    return up_to > before ? undefined : `must be above ${before}, where the tier before it ends`;
  });
}
