import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type InvoiceLine, invoiceLines, type SpanUsage } from '../../billing-worker/pricing/invoice-lines.ts';
import type { PlanSpan } from '../../billing-worker/pricing/plan.ts';
import { type Plan, planSchema } from '../../schemas/config/plans.ts';
import type { Price } from '../../schemas/config/rate-card.ts';
import { fullLength } from '../helpers/full-length.ts';
import { minus, plus, type Rational, rational, times, toPlaces, ZERO } from './pricing-rationals.ts';

/** Amounts far beyond what a double holds exactly, so that one anywhere on the way shows. */
const CYCLE = { start: Date.parse('2026-09-30T22:00:00Z'), end: Date.parse('2026-10-31T23:00:00Z') };
const LENGTH = CYCLE.end - CYCLE.start;

const price = fc
  .tuple(fc.bigInt(0n, 999_999n), fc.bigInt(0n, 999_999_999_999n), fc.integer({ min: 1, max: 12 }))
  .map(([whole, fraction, places]) => `${whole}.${fraction.toString().padStart(12, '0').slice(-places)}`);
const maybe = <T>(of: fc.Arbitrary<T>) => fc.option(of, { nil: undefined });
const few = fc.integer({ min: 0, max: 10_000 });
const many = fc.bigInt(-(2n ** 62n), 2n ** 62n);
const tokens = fc.oneof(few.map(BigInt), fc.integer({ min: -5_000, max: 0 }).map(BigInt), many);

const tiers = fc
  .tuple(
    fc.uniqueArray(fc.integer({ min: 1, max: 10_000 }), { maxLength: 4 }),
    fc.array(price, { minLength: 5, maxLength: 5 }),
  )
  .map(([ends, prices]) => {
    const bounds = [...ends.toSorted((a, b) => a - b).map((up_to) => ({ up_to })), {}];
    return bounds.map((bound, i) => ({ ...bound, price_per_token: prices[i] as string }));
  });
const percent = fc
  .tuple(fc.nat(1_000), fc.nat(9_999))
  .map(([whole, fraction]) => `${whole}.${String(fraction).padStart(4, '0')}`);

const plan: fc.Arbitrary<Plan> = fc
  .record({
    currency: fc.constantFrom('USD', 'JPY', 'KWD'),
    base_fee: maybe(price),
    included_tokens: maybe(few),
    priced: fc.oneof(
      price.map((price_per_token) => ({ price_per_token })),
      tiers.map((of) => ({ tiers: of })),
      fc.constant({}),
    ),
    card: maybe(
      fc.record({ rate_card: fc.constant(true), markup_percent: maybe(percent) }, { requiredKeys: ['rate_card'] }),
    ),
    minimum: maybe(price),
  })
  .map(({ card, currency, priced, ...more }) => {
    const isUsd = card !== undefined || Object.keys(priced).length === 0;
    return planSchema.parse({ ...more, ...priced, ...card, currency: isUsd ? 'USD' : currency });
  });

const part = fc.oneof(
  fc.constant([0, LENGTH] as const),
  fc
    .tuple(fc.nat(LENGTH - 1), fc.integer({ min: 1, max: LENGTH }))
    .map(([from, length]) => [from, Math.min(length, LENGTH - from)] as const),
);
const span: fc.Arbitrary<PlanSpan> = fc.tuple(plan, part).map(([of, [from, length]]) => ({
  index: 0,
  name: 'p',
  from: CYCLE.start + from,
  to: CYCLE.start + from + length,
  plan: of,
}));

const bucketOf = (prices: number) =>
  fc.uniqueArray(fc.record({ pricePerToken: price, tokens, requests: fc.constant(1n) }), {
    maxLength: prices,
    selector: ({ pricePerToken }) => Number(pricePerToken),
  });
const prices: fc.Arbitrary<Price> = fc
  .record({ input: price, output: price, cache_read: price, cache_write: price, reasoning: maybe(price) })
  .map(({ reasoning, ...more }) => ({ ...more, ...(reasoning !== undefined && { reasoning }) }));
const models = fc.uniqueArray(
  fc.record({
    model: fc.constantFrom('lab/a', 'lab/b'),
    priceFrom: fc.constantFrom(Number.MIN_SAFE_INTEGER, CYCLE.start + 1_000),
    price: prices,
    usage: fc.record({ input: tokens, output: tokens, cache_read: tokens, cache_write: tokens, reasoning: tokens }),
  }),
  { maxLength: 3, selector: ({ model, priceFrom }) => `${model} ${priceFrom}` },
);

const invoiceOf = (of: PlanSpan, usage: Partial<SpanUsage>) =>
  invoiceLines({
    cycle: CYCLE,
    spans: [of],
    usage: [{ cycle: CYCLE, span: of, billedBefore: 0n, bucket: [], models: [], ...usage }],
  });

const sumOf = (lines: InvoiceLine[], key: 'exact_amount' | 'amount', ...kinds: InvoiceLine['kind'][]) =>
  lines
    .filter(({ kind }) => kinds.length === 0 || kinds.includes(kind))
    .reduce((sum, line) => plus(sum, rational(line[key])), ZERO);

const DIGITS: Record<string, number> = { USD: 2, JPY: 0, KWD: 3 };

/** Prorated tokens: rounded down. */
const ofShare = (amount: number, { from, to }: PlanSpan) => (BigInt(amount) * BigInt(to - from)) / BigInt(LENGTH);

/** What the first so many bucket tokens of a span cost: one tier after the other, each with what reaches into it. */
function costOfFirst(position: bigint, of: PlanSpan, stamped: string): Rational {
  const { included_tokens = 0, price_per_token, rate_card, tiers: given } = of.plan;
  const free = ofShare(included_tokens, of);
  const charged = free > 0n ? (position > free ? position - free : 0n) : position;
  if (!given) {
    const each = price_per_token ?? (rate_card ? '0' : stamped);
    return times(rational(each), [charged, 1n]);
  }
  let [cost, rest, reached] = [ZERO, charged, 0n];
  for (const { price_per_token: each, up_to } of given) {
    const room = up_to === undefined ? undefined : ofShare(up_to, of) - reached;
    const here = room === undefined || rest <= room ? rest : room;
    cost = plus(cost, times(rational(each), [here, 1n]));
    rest -= here;
    reached += room ?? 0n;
    if (rest === 0n) break;
  }
  return cost;
}

const costOfModels = (used: SpanUsage['models']): Rational =>
  used.reduce((sum, { price: each, usage }) => {
    const reasoning = each.reasoning === undefined ? 0n : usage.reasoning;
    const parts: [bigint, string][] = [
      [usage.input, each.input],
      [usage.output - reasoning, each.output],
      [usage.cache_read, each.cache_read],
      [usage.cache_write, each.cache_write],
      [reasoning, each.reasoning ?? '0'],
    ];
    return parts.reduce((total, [count, of]) => plus(total, times(rational(of), [count, 1_000_000n])), sum);
  }, ZERO);

describe('the amount of an invoice', () => {
  test('is that of an independent calculation with fractions', () => {
    fc.assert(
      fc.property(span, tokens, bucketOf(1), models, (of, billedBefore, bucket, used) => {
        const { currency, lines, total } = invoiceOf(of, { billedBefore, bucket, models: used });
        const [stamped] = bucket;
        const after = billedBefore + (stamped?.tokens ?? 0n);
        const perToken = stamped?.pricePerToken ?? '0';
        expect(sumOf(lines, 'exact_amount', 'tokens')).toEqual(
          minus(costOfFirst(after, of, perToken), costOfFirst(billedBefore, of, perToken)),
        );
        const byCard = of.plan.rate_card ? costOfModels(used) : ZERO;
        expect(sumOf(lines, 'exact_amount', 'model_tokens')).toEqual(byCard);
        const markup = times(rational(of.plan.markup_percent ?? '0'), [1n, 100n]);
        expect(sumOf(lines, 'exact_amount', 'markup')).toEqual(times(byCard, markup));
        const share: Rational = [BigInt(of.to - of.from), BigInt(LENGTH)];
        const prorated = (amount = '0') => rational(toPlaces(times(rational(amount), share), 12));
        expect(sumOf(lines, 'exact_amount', 'base_fee')).toEqual(prorated(of.plan.base_fee));
        for (const { amount, exact_amount, per, quantity, unit_price } of lines) {
          expect(rational(exact_amount)).toEqual(
            times(times(rational(quantity), rational(unit_price)), [1n, BigInt(per)]),
          );
          expect(amount).toBe(toPlaces(rational(exact_amount), DIGITS[currency] as number));
        }
        expect(rational(total)).toEqual(sumOf(lines, 'amount'));
        const others = sumOf(lines, 'amount', 'base_fee', 'tokens', 'model_tokens', 'markup');
        const least = rational(toPlaces(prorated(of.plan.minimum), DIGITS[currency] as number));
        const isShort = of.plan.minimum !== undefined && minus(least, others)[0] > 0n;
        expect(rational(total)).toEqual(isShort ? least : others);
      }),
      { numRuns: fullLength ? 5_000 : 700 },
    );
  });

  test('of bucket tokens is the same at once and in any pieces, given back ones too', () => {
    const pieces = fc.array(tokens, { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(span, pieces, price, (of, given, pricePerToken) => {
        const bill = (billedBefore: bigint, count: bigint) => {
          const bucket = [{ pricePerToken, tokens: count, requests: 0n }];
          return sumOf(invoiceOf(of, { billedBefore, bucket }).lines, 'exact_amount', 'tokens');
        };
        let [sum, billed] = [ZERO, 0n];
        for (const piece of given) {
          sum = plus(sum, bill(billed, piece));
          billed += piece;
        }
        expect(sum).toEqual(bill(0n, billed));
      }),
      { numRuns: fullLength ? 5_000 : 500 },
    );
  });

  test('does not depend on the order in which usage is given', () => {
    fc.assert(
      fc.property(span, bucketOf(3), models, (of, bucket, used) => {
        const there = invoiceOf(of, { bucket, models: used });
        expect(invoiceOf(of, { bucket: bucket.toReversed(), models: used.toReversed() })).toEqual(there);
      }),
      { numRuns: 200 },
    );
  });

  test('without included tokens is the sum over stamped prices of tokens × price', () => {
    fc.assert(
      fc.property(bucketOf(5), tokens, (bucket, billedBefore) => {
        const none: PlanSpan = {
          index: 0,
          name: undefined,
          from: CYCLE.start,
          to: CYCLE.end,
          plan: planSchema.parse({}),
        };
        const expected = bucket.reduce(
          (sum, each) => plus(sum, times(rational(each.pricePerToken), [each.tokens, 1n])),
          ZERO,
        );
        expect(sumOf(invoiceOf(none, { bucket, billedBefore }).lines, 'exact_amount')).toEqual(expected);
      }),
      { numRuns: 200 },
    );
  });
});
