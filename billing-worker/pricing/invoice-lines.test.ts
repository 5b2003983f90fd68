import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { loadConfig } from '../../runtime/config/files.ts';
import { packageRoot } from '../../runtime/package-root.ts';
import { planSchema } from '../../schemas/config/plans.ts';
import { type Price, RateCard } from '../../schemas/config/rate-card.ts';
import type { Cycle } from '../cycles.ts';
import { type InvoiceOf, invoiceLines, type SpanUsage, type TokenCounts } from './invoice-lines.ts';
import type { PlanSpan } from './plan.ts';

const DAY = 86_400_000;
const at = (date: string) => Date.parse(`${date}T00:00:00Z`);
const OCTOBER = { start: at('2026-10-01'), end: at('2026-11-01') };
const SEPTEMBER = { start: at('2026-09-01'), end: at('2026-10-01') };
const NOTHING: TokenCounts = { input: 0n, output: 0n, cache_read: 0n, cache_write: 0n, reasoning: 0n };
const BEGINNING = Number.MIN_SAFE_INTEGER;

interface SpanOptions {
  cycle?: Cycle;
  from?: number;
  to?: number;
  index?: number;
  name?: string | undefined;
}

const span = (plan: object, { cycle = OCTOBER, ...more }: SpanOptions = {}): PlanSpan => ({
  index: 0,
  name: 'pro',
  from: cycle.start,
  to: cycle.end,
  ...more,
  plan: planSchema.parse(plan),
});

const usage = (of: PlanSpan, more: Partial<SpanUsage> = {}): SpanUsage => ({
  cycle: OCTOBER,
  span: of,
  billedBefore: 0n,
  bucket: [],
  models: [],
  ...more,
});

const bucket = (tokens: bigint | number, pricePerToken = '0.000100000000') => [
  { pricePerToken, tokens: BigInt(tokens), requests: 1n },
];

const model = (id: string, price: Price, counts: Partial<TokenCounts>, priceFrom = BEGINNING) => ({
  model: id,
  priceFrom,
  price,
  usage: { ...NOTHING, ...counts },
});

const SONNET: Price = { input: '3.00', output: '15.00', cache_read: '3.00', cache_write: '3.00' };

/** The lines of October, with what matters in a test. */
function lines(spans: PlanSpan[], used: SpanUsage[], more: Partial<InvoiceOf> = {}) {
  const invoice = invoiceLines({ cycle: OCTOBER, spans, usage: used, ...more });
  return {
    total: invoice.total,
    lines: invoice.lines.map(({ amount, description, exact_amount, quantity, unit_price }) => ({
      description,
      sum: `${quantity} × ${unit_price} = ${exact_amount}: ${amount}`,
    })),
  };
}

const one = (plan: object, more: Partial<SpanUsage> = {}, spanOptions = {}) => {
  const of = span(plan, spanOptions);
  return lines([of], [usage(of, more)]);
};

describe('an invoice of nothing', () => {
  test('has no lines, and comes to zero in the digits of its currency', () => {
    const of = span({});
    expect(invoiceLines({ cycle: OCTOBER, spans: [of], usage: [usage(of)] })).toEqual({
      currency: 'USD',
      lines: [],
      total: '0.00',
    });
    const yen = span({ currency: 'JPY', price_per_token: '1' });
    expect(invoiceLines({ cycle: OCTOBER, spans: [yen], usage: [] })).toEqual({
      currency: 'JPY',
      lines: [],
      total: '0',
    });
  });
});

describe('the printed prices', () => {
  const card = new RateCard(loadConfig(join(packageRoot, 'config')).models);

  test.each([
    ['anthropic/claude-sonnet-4-5', '3.703701', '5.18517', '8.89'],
    ['anthropic/claude-haiku-4-5', '0.9876536', '1.382712', '2.37'],
    ['anthropic/claude-3-haiku', '0.30864175', '0.4320975', '0.74'],
    ['bedrock/nova-micro', '0.043209845', '0.04839492', '0.09'],
    ['bedrock/nova-lite', '0.07407402', '0.08296272', '0.15'],
  ])('%s: 1,234,567 in are %s, 345,678 out are %s', (id, input, output, total) => {
    const found = card.at(id, OCTOBER.start);
    const models = [model(id, found?.price as Price, { input: 1_234_567n, output: 345_678n })];
    const of = span({ rate_card: true });
    const invoice = invoiceLines({ cycle: OCTOBER, spans: [of], usage: [usage(of, { models })] });
    expect(invoice.lines.map(({ exact_amount }) => exact_amount)).toEqual([input, output]);
    expect(invoice.total).toBe(total);
  });

  test('the tutorial: a tenant without a plan pays what is stamped on its tokens', () => {
    expect(one({}, { bucket: bucket(123_456) }, { name: undefined })).toEqual({
      total: '12.35',
      lines: [{ description: 'Tokens', sum: '123456 × 0.0001 = 12.3456: 12.35' }],
    });
  });
});

test('a line says all that it is made of', () => {
  const of = span({ rate_card: true });
  const models = [model('anthropic/claude-sonnet-4-5', SONNET, { input: 1_234_567n })];
  expect(invoiceLines({ cycle: OCTOBER, spans: [of], usage: [usage(of, { models })] }).lines).toEqual([
    {
      kind: 'model_tokens',
      description: 'claude-sonnet-4-5, input tokens',
      adjustment: false,
      cycle: OCTOBER,
      plan: 'pro',
      span: 0,
      model: 'anthropic/claude-sonnet-4-5',
      token_type: 'input',
      price_from: BEGINNING,
      quantity: '1234567',
      unit: 'tokens',
      unit_price: '3.00',
      per: 1_000_000,
      exact_amount: '3.703701',
      amount: '3.70',
    },
  ]);
});

describe('bucket tokens', () => {
  test('cost what the plan says, whatever is stamped on them', () => {
    expect(one({ price_per_token: '0.002' }, { bucket: [...bucket(1_000), ...bucket(500, '7')] }).lines).toEqual([
      { description: 'Tokens', sum: '1500 × 0.002 = 3: 3.00' },
    ]);
  });

  test('cost nothing where the rate card is billed instead', () => {
    expect(one({ rate_card: true }, { bucket: bucket(1_000) })).toEqual({ lines: [], total: '0.00' });
    expect(one({ rate_card: true, price_per_token: '0.01' }, { bucket: bucket(1_000) }).total).toBe('10.00');
  });

  test('are a line for each price that is stamped on them, the dearest first', () => {
    expect(one({}, { bucket: [...bucket(10, '0.5'), ...bucket(20, '2'), ...bucket(0, '3')] }).lines).toEqual([
      { description: 'Tokens', sum: '20 × 2.00 = 40: 40.00' },
      { description: 'Tokens', sum: '10 × 0.50 = 5: 5.00' },
    ]);
  });

  test.each([
    ['within what is included', 0, 1_000, []],
    ['above it', 0, 1_500, ['500 × 0.01 = 5: 5.00']],
    ['beyond what earlier invoices had', 900, 300, ['200 × 0.01 = 2: 2.00']],
    ['when it is used up', 5_000, 300, ['300 × 0.01 = 3: 3.00']],
    ['given back into it', 1_200, -500, ['-200 × 0.01 = -2: -2.00']],
    ['given back beyond what was used', 0, -500, []],
  ])('%s: %i billed before, now %i', (_, billedBefore, tokens, sums) => {
    const plan = { included_tokens: 1_000, price_per_token: '0.01' };
    const found = one(plan, { billedBefore: BigInt(billedBefore), bucket: bucket(tokens) });
    expect(found.lines.map(({ sum }) => sum)).toEqual(sums);
  });

  test('of several prices are included from the dearest on', () => {
    const mixed = [...bucket(700, '1'), ...bucket(600, '2')];
    expect(one({ included_tokens: 1_000 }, { bucket: mixed }).lines).toEqual([
      { description: 'Tokens above the 1,000 included', sum: '300 × 1.00 = 300: 300.00' },
    ]);
  });

  test('given back where none is included are a credit', () => {
    expect(one({ price_per_token: '0.01' }, { bucket: bucket(-500) }).total).toBe('-5.00');
    expect(one({}, { bucket: bucket(-500, '0.01') }).total).toBe('-5.00');
  });
});

describe('tiers', () => {
  const tiers = [
    { up_to: 1_000, price_per_token: '0.01' },
    { up_to: 5_000, price_per_token: '0.005' },
    { price_per_token: '0.001' },
  ];

  test('are a line each, of the tokens that fall into them', () => {
    expect(one({ tiers }, { bucket: bucket(6_000) })).toEqual({
      total: '31.00',
      lines: [
        { description: 'Tokens, tier 1 (1 to 1,000)', sum: '1000 × 0.01 = 10: 10.00' },
        { description: 'Tokens, tier 2 (1,001 to 5,000)', sum: '4000 × 0.005 = 20: 20.00' },
        { description: 'Tokens, tier 3 (above 5,000)', sum: '1000 × 0.001 = 1: 1.00' },
      ],
    });
  });

  test('go on where earlier invoices ended, and count above what is included', () => {
    const before = { billedBefore: 900n, bucket: bucket(200) };
    expect(one({ tiers }, before).lines.map(({ sum }) => sum)).toEqual([
      '100 × 0.01 = 1: 1.00',
      '100 × 0.005 = 0.5: 0.50',
    ]);
    expect(one({ tiers, included_tokens: 200 }, before).lines).toEqual([
      { description: 'Tokens above the 200 included, tier 1 (1 to 1,000)', sum: '200 × 0.01 = 2: 2.00' },
    ]);
  });

  test('give back at the price of the tier that it comes out of', () => {
    const found = one({ tiers }, { billedBefore: 1_100n, bucket: bucket(-200) });
    expect(found.lines.map(({ sum }) => sum)).toEqual(['-100 × 0.01 = -1: -1.00', '-100 × 0.005 = -0.5: -0.50']);
  });
});

describe('models', () => {
  const PRICE: Price = { input: '3', output: '15', cache_read: '0.3', cache_write: '3.75' };
  const counts = { input: 10n, output: 1_000_000n, cache_read: 30n, cache_write: 40n, reasoning: 400_000n };

  test('are a line for each type; reasoning is one only where it has a price', () => {
    const sums = (price: Price) =>
      one({ rate_card: true }, { models: [model('lab/m', price, counts)] }).lines.map(
        ({ description, sum }) => `${description} ${sum}`,
      );
    expect(sums(PRICE)).toEqual([
      'm, input tokens 10 × 3.00 = 0.00003: 0.00',
      'm, output tokens 1000000 × 15.00 = 15: 15.00',
      'm, cache read tokens 30 × 0.30 = 0.000009: 0.00',
      'm, cache write tokens 40 × 3.75 = 0.00015: 0.00',
    ]);
    expect(sums({ ...PRICE, reasoning: '20' }).slice(1)).toEqual([
      'm, output tokens 600000 × 15.00 = 9: 9.00',
      'm, cache read tokens 30 × 0.30 = 0.000009: 0.00',
      'm, cache write tokens 40 × 3.75 = 0.00015: 0.00',
      'm, reasoning tokens 400000 × 20.00 = 8: 8.00',
    ]);
  });

  test('come by id and start of the price, in whatever order they are given; a price of zero is one', () => {
    const models = [
      model('lab/b', { ...SONNET, input: '0' }, { input: 5n }),
      model('lab/a', SONNET, { input: 7n }, at('2026-10-15')),
      model('lab/*', SONNET, { input: 6n }, at('2026-10-15') + 3_600_000),
      model('lab/a', SONNET, { input: 8n }),
    ];
    const expected = [
      ['lab/*, input tokens, at the price from 2026-10-15 01:00:00 +00:00', '6 × 3.00 = 0.000018: 0.00'],
      ['a, input tokens', '8 × 3.00 = 0.000024: 0.00'],
      ['a, input tokens, at the price from 2026-10-15', '7 × 3.00 = 0.000021: 0.00'],
      ['b, input tokens', '5 × 0.00 = 0: 0.00'],
    ].map(([description, sum]) => ({ description, sum }));
    expect(one({ rate_card: true }, { models }).lines).toEqual(expected);
    expect(one({ rate_card: true }, { models: models.toReversed() }).lines).toEqual(expected);
  });

  test('are not billed where the plan does not say so', () => {
    expect(one({}, { models: [model('lab/m', SONNET, { input: 7_000_000n })] }).lines).toEqual([]);
  });

  test('are marked up by their exact amounts', () => {
    const models = [model('lab/m', SONNET, { input: 1_234_567n, output: 345_678n })];
    const found = one({ rate_card: true, markup_percent: '12.5', price_per_token: '1' }, { models, bucket: bucket(3) });
    expect(found.lines.at(-1)).toEqual({
      description: 'Markup of 12.5% on models',
      sum: '8.888871 × 0.125 = 1.111108875: 1.11',
    });
    expect(found.total).toBe('13.00');
    expect(one({ rate_card: true, markup_percent: '12.5' }).lines).toEqual([]);
  });
});

describe('fees of a cycle', () => {
  test('are due whether it is used or not', () => {
    const of = span({ base_fee: '49.00', minimum: '60' });
    const expected = [
      { description: 'Base fee of plan pro', sum: '1 × 49.00 = 49: 49.00' },
      { description: 'Up to the minimum of plan pro (60)', sum: '1 × 11.00 = 11: 11.00' },
    ];
    expect(lines([of], [])).toEqual({ total: '60.00', lines: expected });
    expect(lines([of], [usage(of)])).toEqual({ total: '60.00', lines: expected });
  });

  test('a minimum is what the rounded lines are short of, and nothing once it is reached', () => {
    const three = { bucket: [...bucket(1, '0.004'), ...bucket(1, '0.003'), ...bucket(1, '0.002')] };
    expect(one({ minimum: '10' }, three).total).toBe('10.00');
    expect(one({ minimum: '10' }, { bucket: bucket(10, '1') }).lines).toHaveLength(1);
    expect(one({ minimum: '0.004' }, {}).lines).toEqual([]);
  });

  test('are prorated by time where a plan holds for a part of it, as are included tokens and tiers', () => {
    const change = OCTOBER.start + 12 * DAY;
    const tiers = [{ up_to: 3_101, price_per_token: '0.01' }, { price_per_token: '0.001' }];
    const first = span({ base_fee: '49.00', included_tokens: 1_000, tiers }, { to: change });
    const second = span({ minimum: '31' }, { from: change, index: 1, name: 'flat' });
    const used = [usage(first, { bucket: bucket(2_000) }), usage(second, { bucket: bucket(100) })];
    // 12 of 31 days: 387 tokens included, the first tier up to 1,200.
    expect(lines([first, second], used)).toEqual({
      total: '50.38',
      lines: [
        {
          description: 'Base fee of plan pro (38.71% of 49.00), 2026-10-01 to 2026-10-12',
          sum: '1 × 18.967741935484 = 18.967741935484: 18.97',
        },
        {
          description: 'Tokens above the 387 included, tier 1 (1 to 1,200), 2026-10-01 to 2026-10-12',
          sum: '1200 × 0.01 = 12: 12.00',
        },
        {
          description: 'Tokens above the 387 included, tier 2 (above 1,200), 2026-10-01 to 2026-10-12',
          sum: '413 × 0.001 = 0.413: 0.41',
        },
        { description: 'Tokens, 2026-10-13 to 2026-10-31', sum: '100 × 0.0001 = 0.01: 0.01' },
        {
          description: 'Up to the minimum of plan flat (61.29% of 31), 2026-10-13 to 2026-10-31',
          sum: '1 × 18.99 = 18.99: 18.99',
        },
      ],
    });
  });
});

describe('adjustments', () => {
  const now = span({ base_fee: '5' });
  const then = span(
    { base_fee: '49', minimum: '99', included_tokens: 100, rate_card: true, price_per_token: '0.01' },
    { cycle: SEPTEMBER },
  );

  test('come last, named after their cycle, without fees, and go on where its invoice ended', () => {
    const models = [model('anthropic/claude-sonnet-4-5', SONNET, { input: 1_000_000n })];
    const late = usage(then, { cycle: SEPTEMBER, billedBefore: 90n, bucket: bucket(30), models });
    expect(lines([now], [late, usage(now)])).toEqual({
      total: '8.20',
      lines: [
        { description: 'Base fee of plan pro', sum: '1 × 5.00 = 5: 5.00' },
        { description: 'Adjustment for 2026-09: Tokens above the 100 included', sum: '20 × 0.01 = 0.2: 0.20' },
        { description: 'Adjustment for 2026-09: claude-sonnet-4-5, input tokens', sum: '1000000 × 3.00 = 3: 3.00' },
      ],
    });
    expect(
      invoiceLines({ cycle: OCTOBER, spans: [now], usage: [late] }).lines.map(({ adjustment }) => adjustment),
    ).toEqual([false, true, true]);
  });

  test('are in the order of time, and named by the dates of the tenant', () => {
    const zoned = (start: string, end: string) => ({ start: Date.parse(start), end: Date.parse(end) });
    const cycles = [
      zoned('2026-08-31T22:00:00Z', '2026-09-30T22:00:00Z'),
      zoned('2025-12-31T23:00:00Z', '2026-12-31T23:00:00Z'),
      zoned('2026-07-14T22:00:00Z', '2026-08-14T22:00:00Z'),
    ];
    const used = cycles.map((cycle) => usage(span({}, { cycle }), { cycle, bucket: bucket(-1, '1') }));
    const found = lines([now], used, { timezone: 'Europe/Berlin' });
    expect(found.lines.slice(1).map(({ description }) => description)).toEqual([
      'Adjustment for 2026: Tokens',
      'Adjustment for 2026-07-15 to 2026-08-14: Tokens',
      'Adjustment for 2026-09: Tokens',
    ]);
    expect(found.total).toBe('2.00');
  });
});

describe('currencies', () => {
  test.each([
    ['USD', '0.01'],
    ['JPY', '0'],
    ['KWD', '0.005'],
    ['HUF', '0.01'],
  ])('an amount of 0.005 %s is rounded to %s', (currency, total) => {
    const of = span({ currency, price_per_token: '0.005' });
    const found = invoiceLines({ cycle: OCTOBER, spans: [of], usage: [usage(of, { bucket: bucket(1) })] });
    expect([found.currency, found.total]).toEqual([currency, total]);
  });
});

describe('is refused', () => {
  const of = span({});
  const euro = span({ currency: 'EUR', price_per_token: '1' }, { index: 1 });
  test.each([
    ['several currencies', [of, euro], [], 'USD and EUR'],
    ['usage given twice', [of], [usage(of), usage(of)], 'twice'],
    ['usage without a span', [of], [usage({ ...of, index: 1 })], 'no span'],
    ['usage of a later cycle', [of], [usage(of, { cycle: { start: OCTOBER.end, end: OCTOBER.end + DAY } })], 'later'],
  ])('%s', (_, spans, used, message) => {
    expect(() => invoiceLines({ cycle: OCTOBER, spans, usage: used })).toThrow(message);
  });
});
