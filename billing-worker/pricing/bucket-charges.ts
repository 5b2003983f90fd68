import type { Plan } from '../../schemas/config/plans.ts';
import { exact } from './exact.ts';
import type { Share } from './share.ts';

/** Bucket tokens at one price. */
export interface BucketCharge {
  tokens: bigint;
  price: string;
  /** Of a plan with tiers: which it is, from 1, and its bounds. */
  tier?: { number: number; above: bigint; upTo: bigint | undefined };
}

export interface BucketUsage {
  /** Tokens of the same cycle and span on earlier invoices. */
  billedBefore: bigint;
  bucket: { pricePerToken: string; tokens: bigint }[];
}

/**
 * What bucket tokens are charged at: the plan's price or tiers; else, unless the rate card is billed, the price stamped on
 * their events. Always the difference of what all tokens cost with and without these, so that it does not matter in how many
 * pieces they are billed.
 */
export function bucketCharges(usage: BucketUsage, plan: Plan, share: Share): BucketCharge[] {
  const included = share.tokens(plan.included_tokens ?? 0);
  const charged = charges(usage, plan, { share, included });
  return charged.filter(({ tokens }) => tokens !== 0n);
}

function charges({ billedBefore, bucket }: BucketUsage, plan: Plan, terms: Terms): BucketCharge[] {
  const before = above(billedBefore, terms.included);
  const total = bucket.reduce((sum, { tokens }) => sum + tokens, 0n);
  const after = above(billedBefore + total, terms.included);
  if (plan.price_per_token !== undefined) return [{ tokens: after - before, price: plan.price_per_token }];
  if (plan.tiers) return tierCharges(plan.tiers, terms.share, { before, after });
  return plan.rate_card ? [] : stampedCharges(bucket, billedBefore, terms.included);
}

interface Terms {
  share: Share;
  included: bigint;
}

/** Where none is included, what is given back beyond what was used is a credit. */
const above = (tokens: bigint, included: bigint) =>
  included === 0n ? tokens : tokens > included ? tokens - included : 0n;

function tierCharges(
  tiers: NonNullable<Plan['tiers']>,
  share: Share,
  { after, before }: { before: bigint; after: bigint },
): BucketCharge[] {
  const ends = tiers.map(({ up_to }) => (up_to === undefined ? undefined : share.tokens(up_to)));
  return tiers.map(({ price_per_token: price }, i) => {
    const start = i === 0 ? undefined : ends[i - 1];
    const upTo = ends[i];
    const tokens = within(after, start, upTo) - within(before, start, upTo);
    return { tokens, price, tier: { number: i + 1, above: start ?? 0n, upTo } };
  });
}

function within(position: bigint, start: bigint | undefined, end: bigint | undefined): bigint {
  if (start !== undefined && position < start) return start;
  return end !== undefined && position > end ? end : position;
}

/** The dearest first: of several prices, included tokens take the place of those. */
function stampedCharges(bucket: BucketUsage['bucket'], billedBefore: bigint, included: bigint): BucketCharge[] {
  let position = billedBefore;
  return bucket
    .toSorted((a, b) => compare(exact(b.pricePerToken), exact(a.pricePerToken)))
    .map(({ pricePerToken, tokens }) => {
      const before = above(position, included);
      position += tokens;
      return { tokens: above(position, included) - before, price: pricePerToken };
    });
}

const compare = (a: bigint, b: bigint) => (a < b ? -1 : a > b ? 1 : 0);
