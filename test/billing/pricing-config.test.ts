import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import type { z } from 'zod';
import { ConfigError } from '../../runtime/config/config-error.ts';
import { loadConfig } from '../../runtime/config/files.ts';
import { readYamlFile } from '../../runtime/config/yaml-file.ts';
import { packageRoot } from '../../runtime/package-root.ts';
import { modelsSchema } from '../../schemas/config/models.ts';
import { RateCard } from '../../schemas/config/rate-card.ts';
import { tenantsSchema } from '../../schemas/config/tenants.ts';

const folder = mkdtempSync(join(tmpdir(), 'pricing-config-'));
const file = join(folder, 'file.yaml');
afterAll(() => rmSync(folder, { recursive: true }));

const read = <Schema extends z.ZodType>(text: string, schema: Schema): z.output<Schema> => {
  writeFileSync(file, text);
  return readYamlFile(file, schema);
};

function problems(text: string, schema: z.ZodType): string[] {
  try {
    read(text, schema);
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    return (error as ConfigError).problems.map((problem) => problem.replace(`${file}:`, ''));
  }
  throw new Error('was accepted');
}

describe('models.yaml is refused, with line and column, where', () => {
  test.each([
    [
      'two models claim one alias',
      'models:\n  a: { aliases: [one, both] }\n  b: { aliases: [both] }\n',
      '3:18: models.b.aliases.0: "both" stands for a already, and a name stands for one model',
    ],
    [
      'two wildcards are equal',
      'models:\n  a: { aliases: [lab/*] }\n  lab/*: {}\n',
      '2:18: models.a.aliases.0: "lab/*" stands for lab/* already, and a name stands for one model',
    ],
    ['a * is not at the end', 'models:\n  lab/*-mini: {}\n', '2:3: models.lab/*-mini: may have one * only, at its end'],
    [
      'prices are not in the order of time',
      'models:\n  a:\n    prices:\n      - { effective_from: 2026-02-01, input: "1", output: "1" }\n      - { effective_from: 2026-01-31T23:00:00-01:00, input: "1", output: "1" }\n',
      '5:11: models.a.prices.1.effective_from: must be after 2026-02-01, as prices are in the order of time',
    ],
    [
      'there is no such day',
      'models:\n  a: { prices: [{ effective_from: 2026-02-30, input: "1", output: "1" }] }\n',
      '2:19: models.a.prices.0.effective_from: must be a date or an instant, such as "2026-11-01" or "2026-11-01T00:00:00Z" (it is "2026-02-30")',
    ],
    [
      'half a price is given',
      'models:\n  a: { input: "1" }\n',
      '2:3: models.a: output is missing; write output: "0" if it costs nothing',
    ],
    [
      'half a price is given from a date on',
      'models:\n  a: { prices: [{ effective_from: 2026-02-01, input: "1" }] }\n',
      '2:17: models.a.prices.0.output: is missing',
    ],
  ])('%s', (_, text, problem) => {
    expect(problems(text, modelsSchema)).toEqual([problem]);
  });

  test('an alias that is the id of another model, or given twice for one, is no mistake', () => {
    const { models } = read('models:\n  a: { aliases: [b, x, x, "a"] }\n  b: {}\n', modelsSchema);
    expect(Object.keys(models)).toEqual(['a', 'b']);
  });
});

const DEFAULTS = `defaults: { capacity: 1, refill: daily, price_per_token: "0.0001", billing_cycle: { period: month } }`;
const withPlans = (plans: string, tenants: string) => `${DEFAULTS}\nplans:\n${plans}\ntenants:\n${tenants}\n`;
const TWO = '  basic: {}\n  pro: { base_fee: "49.00" }\n  euro: { currency: EUR, price_per_token: "0.1" }';

describe('plans in tenants.yaml are refused, with line and column, where', () => {
  test.each([
    [
      'a tenant names one that is not there',
      withPlans(TWO, '  acme: { plan: gold }'),
      '7:11: tenants.acme.plan: there is no plan "gold"; there is basic, pro, euro',
    ],
    [
      'there is none at all',
      `${DEFAULTS}\ntenants:\n  acme: { plan: [{ name: __proto__ }] }\n`,
      '3:20: tenants.acme.plan.0.name: there is no plan "__proto__"; there is none under plans',
    ],
    [
      'the default is not there',
      `${DEFAULTS.replace(' }', ' }, plan: gold')}\n`,
      '1:102: defaults.plan: there is no plan "gold"; there is none under plans',
    ],
    [
      'the first does not hold from the beginning',
      withPlans(TWO, '  acme: { plan: [{ name: basic, from: 2026-01-01 }] }'),
      '7:33: tenants.acme.plan.0.from: the first plan holds from the beginning, without from',
    ],
    [
      'a later one does not say from when it holds',
      withPlans(TWO, '  acme: { plan: [{ name: basic }, { name: pro }] }'),
      '7:35: tenants.acme.plan.1.from: is missing: only the first plan has none',
    ],
    [
      'they are not in the order of time',
      withPlans(
        TWO,
        '  acme: { plan: [{ name: basic }, { name: pro, from: 2026-03-01 }, { name: basic, from: 2026-03-01 }] }',
      ),
      '7:83: tenants.acme.plan.2.from: must be after 2026-03-01, as plans are in the order of time',
    ],
    [
      'they are in two currencies',
      withPlans(TWO, '  acme: { plan: [{ name: basic }, { name: euro, from: 2026-03-01 }] }'),
      '7:11: tenants.acme.plan: all plans of a tenant must be in one currency; these are in USD, EUR',
    ],
    [
      'it is neither a name nor a list',
      withPlans(TWO, '  acme: { plan: 7 }'),
      '7:11: tenants.acme.plan: must be the name of a plan, or a list such as [{ name: basic }, { name: pro, from: "2026-11-01" }] (it is 7)',
    ],
  ])('%s', (_, text, problem) => {
    expect(problems(text, tenantsSchema)).toEqual([problem]);
  });

  test.each([
    [
      '{ currency: eur, price_per_token: "1" }',
      'currency: must be a currency of ISO 4217 in capitals, such as "USD" (it is "eur")',
    ],
    ['{ price_per_token: "1", tiers: [{ price_per_token: "1" }] }', 'tiers: there is price_per_token as well'],
    ['{ rate_card: true, currency: EUR }', 'rate_card: the rate card is in USD, and this plan in EUR'],
    ['{ markup_percent: "20" }', 'markup_percent: is on the rate card: needs rate_card: true'],
    [
      '{ rate_card: true, markup_percent: "0.12345" }',
      'markup_percent: must be percent in quotes, with at most 4 places, such as "20" or "12.5" (it is "0.12345")',
    ],
    [
      '{ currency: EUR, base_fee: "5" }',
      'currency: needs price_per_token or tiers: those of tenants are in USD, and this plan in EUR',
    ],
    ['{ tiers: [] }', 'tiers: must have one tier at least'],
    ['{ tiers: [{ up_to: 5, price_per_token: "1" }] }', 'tiers.0.up_to: the last tier goes on for ever and has none'],
    [
      '{ tiers: [{ price_per_token: "1" }, { price_per_token: "1" }] }',
      'tiers.0.up_to: is missing: the last tier alone has none',
    ],
    [
      '{ tiers: [{ up_to: 5, price_per_token: "1" }, { up_to: 5, price_per_token: "1" }, { price_per_token: "1" }] }',
      'tiers.1.up_to: must be above 5, where the tier before it ends',
    ],
  ])('%s', (plan, problem) => {
    const found = problems(withPlans(`  p: ${plan}`, '  a: {}'), tenantsSchema);
    expect(found.map((text) => text.replace(/^3:\d+: plans\.p\./, ''))).toEqual([problem]);
  });
});

test('quarters and years begin in a month of theirs', () => {
  const cycle = (text: string) => read(DEFAULTS.replace('period: month', text), tenantsSchema).defaults.billing_cycle;
  const common = { anchor_day: 31, timezone: 'UTC' };
  expect(cycle('period: quarter, anchor_day: 31')).toEqual({ period: 'quarter', ...common, anchor_month: 1 });
  expect(cycle('period: year, anchor_day: 31, anchor_month: 12')).toEqual({
    period: 'year',
    ...common,
    anchor_month: 12,
  });
  expect(() => cycle('period: quarter, anchor_month: 4')).toThrow('anchor_month');
  expect(() => cycle('period: month, anchor_month: 1')).toThrow('unknown key');
});

describe('of the shipped files', () => {
  /** What they show in comments: without white space behind the #, or with the indentation that it has there. */
  const shown = (name: string) =>
    readFileSync(join(packageRoot, 'config', name), 'utf8').replaceAll(/^#((?: {2}){0,3})(?=\S)/gm, '$1');

  test('none has a plan, or a price that changes', () => {
    const { models, tenants } = loadConfig(join(packageRoot, 'config'));
    expect(tenants.plans).toBeUndefined();
    expect(Object.values(models.models).every(({ prices }) => prices === undefined)).toBe(true);
  });

  test('the plans work that tenants.yaml shows in comments', () => {
    const { plans = {} } = read(shown('tenants.yaml'), tenantsSchema);
    expect(Object.keys(plans)).toEqual(['metered', 'pro', 'volume']);
    expect(plans.volume?.tiers).toHaveLength(3);
  });

  test('the prices work that models.yaml shows in comments', () => {
    const card = new RateCard(read(shown('models.yaml'), modelsSchema));
    expect(card.spans('lab/model').map(({ price }) => price?.input)).toEqual(['3.00', '2.50', '2.00']);
    expect(card.resolve('lab/other')).toBe('lab/*');
    expect(card.resolve('bedrock/nova-lite')).toBe('bedrock/nova-lite');
  });
});
