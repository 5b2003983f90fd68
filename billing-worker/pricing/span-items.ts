import type { Plan } from '../../schemas/config/plans.ts';
import { type TokenCounts, tokenCharges } from '../../schemas/config/token-charges.ts';
import { type BucketCharge, bucketCharges } from './bucket-charges.ts';
import { type Describe, grouped, modelName } from './describe.ts';
import { type Exact, exact, shown } from './exact.ts';
import type { SpanUsage } from './invoice-lines.ts';
import type { PlanSpan } from './plan.ts';
import type { Share } from './share.ts';

/** What is charged: `quantity` of `unit`, at `unit_price` for `per` of them. */
export interface Item {
  kind: 'base_fee' | 'tokens' | 'model_tokens' | 'markup' | 'minimum';
  /** For the tenant, in plain English: `claude-sonnet-4-5, input tokens`. */
  description: string;
  /** The id of the rate card. */
  model?: string;
  token_type?: 'bucket' | keyof TokenCounts;
  /** The start of the price, in epoch milliseconds. */
  price_from?: number;
  quantity: string;
  /** `usd`: of what the rate card comes to, `unit_price` being the markup's share of it. */
  unit: 'tokens' | 'cycles' | 'usd';
  unit_price: string;
  per: 1 | 1_000_000;
}

const TYPES = {
  input: 'input tokens',
  output: 'output tokens',
  cache_read: 'cache read tokens',
  cache_write: 'cache write tokens',
  reasoning: 'reasoning tokens',
};

const ofOneCycle = (kind: Item['kind'], description: string, price: Exact): Item[] =>
  price === 0n ? [] : [{ kind, description, quantity: '1', unit: 'cycles', unit_price: shown(price), per: 1 }];

export function baseFee({ name, plan }: PlanSpan, share: Share): Item[] {
  const fee = plan.base_fee ?? '0';
  const part = share.isWhole ? '' : ` (${share.describe(fee)})`;
  return ofOneCycle('base_fee', `Base fee of plan ${name}${part}`, share.money(fee));
}

export function bucketTokens(usage: SpanUsage, share: Share): Item[] {
  const { plan } = usage.span;
  const included = share.tokens(plan.included_tokens ?? 0);
  return bucketCharges(usage, plan, share).map((charge) => ({
    kind: 'tokens',
    description: describeTokens(charge, included),
    token_type: 'bucket',
    quantity: String(charge.tokens),
    unit: 'tokens',
    unit_price: charge.price,
    per: 1,
  }));
}

function describeTokens({ tier }: BucketCharge, included: bigint): string {
  const base = included === 0n ? 'Tokens' : `Tokens above the ${grouped(included)} included`;
  if (!tier) return base;
  const bounds =
    tier.upTo === undefined ? `above ${grouped(tier.above)}` : `${grouped(tier.above + 1n)} to ${grouped(tier.upTo)}`;
  return `${base}, tier ${tier.number} (${bounds})`;
}

/** By model, start of the price and type. */
export function modelTokens({ cycle, models }: SpanUsage, describe: Describe): Item[] {
  return models
    .toSorted((a, b) => compare(a.model, b.model) || a.priceFrom - b.priceFrom)
    .flatMap(({ model, price, priceFrom, usage }) => {
      const since = priceFrom > cycle.start ? `, at the price from ${describe.instant(priceFrom)}` : '';
      return tokenCharges(usage, price)
        .filter(({ tokens }) => tokens !== 0n)
        .map(
          ({ price: unit_price, tokens, type }): Item => ({
            kind: 'model_tokens',
            description: `${modelName(model)}, ${TYPES[type]}${since}`,
            model,
            token_type: type,
            price_from: priceFrom,
            quantity: String(tokens),
            unit: 'tokens',
            unit_price,
            per: 1_000_000,
          }),
        );
    });
}

export function markup({ markup_percent: percent = '0' }: Plan, ofModels: Exact): Item[] {
  const fraction = exact(percent) / 100n;
  if (fraction === 0n || ofModels === 0n) return [];
  const description = `Markup of ${shown(exact(percent))}% on models`;
  return [{ kind: 'markup', description, quantity: shown(ofModels), unit: 'usd', unit_price: shown(fraction), per: 1 }];
}

/** What is missing to the minimum of the span, if anything. */
export function minimum({ name, plan }: PlanSpan, share: Share, missingTo: (least: Exact) => Exact): Item[] {
  if (plan.minimum === undefined) return [];
  const missing = missingTo(share.money(plan.minimum));
  const description = `Up to the minimum of plan ${name} (${share.describe(plan.minimum)})`;
  return missing > 0n ? ofOneCycle('minimum', description, missing) : [];
}

const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);
