import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { accountOf, limitsOf, type ProvidersConfig, providersSchema } from './providers.ts';

const problems = (file: object) =>
  providersSchema.safeParse(file).error?.issues.map(({ message, path }) => `${path.join('.')}: ${message}`) ?? [];

const shippedText = readFileSync(new URL('../../config/providers.yaml', import.meta.url), 'utf8');
const shipped = providersSchema.parse(parse(shippedText));

describe('the shipped file', () => {
  test('has the printed tiers, and no account, so that it limits nobody', () => {
    const input = (requests_per_minute: number, input_tokens_per_minute: number) => ({
      requests_per_minute,
      input_tokens_per_minute,
    });
    const all = (requests_per_minute: number, tokens_per_minute: number) => ({
      requests_per_minute,
      tokens_per_minute,
    });
    expect(shipped.tiers).toEqual({
      anthropic: {
        1: input(50, 30_000),
        2: input(1_000, 450_000),
        3: input(2_000, 800_000),
        4: input(4_000, 2_000_000),
      },
      openai: {
        free: all(3, 40_000),
        1: all(500, 200_000),
        2: all(5_000, 2_000_000),
        3: all(5_000, 4_000_000),
        5: all(10_000, 30_000_000),
      },
      google: {
        free: { ...all(15, 32_000), requests_per_day: 1_500, timezone: 'America/Los_Angeles' },
        paid: all(2_000, 4_000_000),
      },
    });
    expect(shipped.accounts).toEqual({});
  });

  test('says what holds without it', () => {
    const { accounts, circuit_breaker, cooldown, models, routing } = providersSchema.parse({});
    expect(shipped).toMatchObject({ accounts, circuit_breaker, cooldown, models, routing });
    expect(cooldown).toEqual({ minutes: [1, 5, 25, 60], jitter_percent: 10 });
  });

  test('has an example at its end that is sound', () => {
    const example = shippedText.slice(shippedText.indexOf('\n#accounts:')).replaceAll(/^#/gm, '');
    const file = { ...parse(shippedText), ...parse(example) };
    expect(problems(file)).toEqual([]);
    const { accounts, models, routing } = providersSchema.parse(file);
    expect(Object.keys(accounts)).toEqual(['anthropic-main', 'aws']);
    expect(models['bedrock/nova-lite']?.fallback?.max_attempts).toBe(3);
    expect(routing.rules).toHaveLength(3);
  });
});

describe('a chain', () => {
  const chainOf = (fallback: unknown) => providersSchema.parse({ models: { m: { fallback } } }).models.m?.fallback;

  test('may be written in both ways', () => {
    const usual = ['rate_limit', 'timeout', 'unavailable'];
    expect(chainOf(['a', 'b'])).toEqual({ models: ['a', 'b'], on: usual, max_attempts: 3 });
    expect(chainOf({ models: ['a'] })).toEqual({ models: ['a'], on: usual, max_attempts: 2 });
    const all = { models: ['a', 'b'], on: ['rate_limit'], maxAttempts: 2 };
    expect(chainOf(all)).toEqual({ models: ['a', 'b'], on: ['rate_limit'], max_attempts: 2 });
  });

  test.each<[unknown, RegExp]>([
    [['a', 'm'], /^models\.m\.fallback: m cannot stand in for itself; leave it out$/],
    [['a', 'a'], /^models\.m\.fallback: a is named twice; leave the second out$/],
    [['a*'], /a\* must be the id of one model, without \*/],
    [[], /must name one model at least/],
    [['a', 'b', 'c', 'd', 'e', 'f', 'g'], /must not name more than 6 models/],
    ['a', /must be a list of models, or \{ models: \[a, b\], on: \[rate_limit\], maxAttempts: 3 \}/],
    [{ models: ['a'], on: ['rate_limited'] }, /Invalid option: expected one of "rate_limit"\|/],
    [{ models: ['a'], maxAttempts: 0 }, /must be a whole number from 1 to 16/],
    [{ models: ['a'], maxAttempt: 2 }, /Unrecognized key: "maxAttempt"/],
  ])('%j is refused', (fallback, said) => {
    expect(problems({ models: { m: { fallback } } })).toEqual([expect.stringMatching(said)]);
  });
});

describe('what is wrong', () => {
  const tiers = { lab: { 1: { requests_per_minute: 5 }, free: { requests_per_day: 9 } } };

  test.each<[string, object, RegExp]>([
    [
      'an unknown tier',
      { tiers, accounts: { main: { provider: 'lab', tier: 7 } } },
      /^accounts\.main\.tier: there is no tier "7" of lab; there is 1, free$/,
    ],
    [
      'a tier of a provider without tiers',
      { tiers, accounts: { main: { provider: 'constructor', tier: 'name' } } },
      /there is no tier "name" of constructor; tiers has none of constructor/,
    ],
    [
      'no limit at all',
      { tiers, accounts: { main: { provider: 'lab', limits: { timezone: 'UTC' } } } },
      /^accounts\.main: has neither a tier nor limits; write tier: 1 \| free, or limits$/,
    ],
    [
      'two accounts of one provider',
      { tiers, accounts: { a: { provider: 'lab', tier: 1 }, b: { provider: 'lab', tier: 1 } } },
      /^accounts\.b: claims all models of lab, as a does; name in models which are its own$/,
    ],
    [
      'two accounts that claim one model',
      {
        tiers,
        accounts: { a: { provider: 'lab', tier: 1, models: ['x*'] }, b: { provider: 'lab', tier: 1, models: ['x*'] } },
      },
      /^accounts\.b\.models\.0: x\* belongs to a already, and a model belongs to one account$/,
    ],
    [
      'a * in the middle',
      { tiers, accounts: { a: { provider: 'lab', tier: 1, models: ['lab/*-mini'] } } },
      /^accounts\.a\.models\.0: may have one \* only, at its end$/,
    ],
    [
      'a rule that no prompt fits',
      { routing: { rules: [{ when: { input_tokens_from: 50, input_tokens_below: 50 }, model: 'm' }] } },
      /^routing\.rules\.0\.when: no prompt has 50 tokens or more and less than 50; /,
    ],
    [
      'too many rules by budget',
      { routing: { rules: Array.from({ length: 9 }, () => ({ when: { budget_used_percent_from: 5 }, model: 'm' })) } },
      /^routing\.rules: 9 rules have budget_used_percent_from, and 8 at most may$/,
    ],
    [
      'a breaker that opens for less and less time',
      { circuit_breaker: { open_seconds: 90, most_open_seconds: 60 } },
      /^circuit_breaker\.most_open_seconds: must not be less than open_seconds$/,
    ],
  ])('%s', (_, file, said) => {
    expect(problems(file)).toEqual([expect.stringMatching(said)]);
  });
});

const account = (more: object) => ({ provider: 'lab', limits: { requests_per_minute: 5 }, ...more });
const accountNamed = (model: string, file: ProvidersConfig) => accountOf(model, file)?.name;

describe('accountOf', () => {
  const file = providersSchema.parse({
    accounts: {
      main: account({}),
      night: account({ models: ['lab/night', 'lab/night-*', 'plain'] }),
      wide: account({ provider: 'forge', models: ['lab/n*'] }),
    },
  });

  test.each([
    ['lab/large', 'main'],
    ['lab/night', 'night'],
    ['lab/night-2', 'night'],
    ['lab/noon', 'wide'],
    ['forge/large', 'wide'],
    ['plain', 'night'],
    ['other/large', undefined],
    ['lab', undefined],
    ['', undefined],
    ['constructor/x', undefined],
    ['__proto__/x', undefined],
  ])('of %s is %s', (model, name) => {
    expect(accountNamed(model, file)).toBe(name);
  });

  test('is nobody of what only others name, where none of the provider is left', () => {
    const both = providersSchema.parse({
      accounts: { a: account({ models: ['lab/a'] }), b: account({ models: ['lab/b'] }) },
    });
    expect(['lab/a', 'lab/b', 'lab/c'].map((model) => accountNamed(model, both))).toEqual(['a', 'b', undefined]);
  });
});

describe('limitsOf', () => {
  const tiers = { lab: { 1: { requests_per_minute: 999, requests_per_day: 3, timezone: 'Europe/Berlin' } } };
  const limits = (more: object) => {
    const [account] = Object.values(
      providersSchema.parse({ tiers, accounts: { a: { provider: 'lab', ...more } } }).accounts,
    );
    return account && limitsOf(account);
  };

  test("are the tier's, but what the account says itself", () => {
    expect(limits({ tier: 1 })).toEqual({ requests_per_minute: 999, requests_per_day: 3, timezone: 'Europe/Berlin' });
    expect(limits({ tier: 1, limits: { requests_per_minute: 7, tokens_per_minute: 8 } })).toEqual({
      requests_per_minute: 7,
      requests_per_day: 3,
      tokens_per_minute: 8,
      timezone: 'Europe/Berlin',
    });
    expect(limits({ limits: { input_tokens_per_minute: 5 } })).toEqual({ input_tokens_per_minute: 5, timezone: 'UTC' });
  });

  test('are less what is kept back, whole, and never nothing', () => {
    expect(limits({ tier: '1', kept_back_percent: 10 })).toMatchObject({
      requests_per_minute: 899,
      requests_per_day: 2,
    });
    expect(limits({ limits: { requests_per_minute: 1 }, kept_back_percent: 50 })).toMatchObject({
      requests_per_minute: 1,
    });
  });
});
