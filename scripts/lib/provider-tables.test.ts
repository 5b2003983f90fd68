import { expect, test } from 'vitest';
import { loadScript } from '../../test/setup/scripts.ts';

const { accountTables } = await loadScript('lib/provider-tables.mjs');

const NOW = Date.parse('2026-01-01T00:00:00Z');
const at = (seconds: number) => new Date(NOW + 1_000 * seconds).toISOString();

test('a person tells at a glance what to wait for', async () => {
  const text = await accountTables(
    [
      {
        account: 'anthropic-main',
        provider: 'anthropic',
        tier: '2',
        models: [
          { model: 'a/works', state: 'available' },
          { model: 'a/cools', state: 'cooldown', until: at(90), why: 'rate limited: backing off', nth: 2 },
          { model: 'a/spent', state: 'quota_exhausted', until: at(8 * 3_600 + 60), why: 'requests:day is used up' },
          { model: 'a/broken', state: 'circuit_open', until: at(299), why: 'failures in a row', nth: 1 },
          { model: 'a/tried', state: 'half_open', why: 'one call at a time tries it' },
        ],
        limits: [
          {
            id: 'provider:anthropic-main:requests',
            unit: 'requests',
            capacity: 50,
            used: 20,
            remaining: 30,
            reset_at: at(24),
          },
          { id: 'provider:anthropic-main:tokens', unit: 'tokens', capacity: 9, used: 0, remaining: 9, reset_at: at(0) },
        ],
      },
      { account: 'new', provider: 'openai', models: [], limits: [] },
    ],
    NOW,
  );
  expect(text).toMatchInlineSnapshot(`
    "anthropic-main (anthropic, tier 2)
    ┌──────────┬─────────────────┬───────────┬──────────────────────────────────────────────┐
    │ model    │ state           │ for       │ why                                          │
    ├──────────┼─────────────────┼───────────┼──────────────────────────────────────────────┤
    │ a/works  │ available       │           │                                              │
    ├──────────┼─────────────────┼───────────┼──────────────────────────────────────────────┤
    │ a/cools  │ COOLDOWN        │ 90 s      │ rate limited: backing off (2 times in a row) │
    ├──────────┼─────────────────┼───────────┼──────────────────────────────────────────────┤
    │ a/spent  │ QUOTA EXHAUSTED │ 8 h 1 min │ requests:day is used up                      │
    ├──────────┼─────────────────┼───────────┼──────────────────────────────────────────────┤
    │ a/broken │ CIRCUIT OPEN    │ 5 min     │ failures in a row                            │
    ├──────────┼─────────────────┼───────────┼──────────────────────────────────────────────┤
    │ a/tried  │ half open       │           │ one call at a time tries it                  │
    └──────────┴─────────────────┴───────────┴──────────────────────────────────────────────┘
    ┌──────────────────────────────────┬──────┬────┬──────┬────────────────┐
    │ limit                            │ used │ of │ left │ whole again in │
    ├──────────────────────────────────┼──────┼────┼──────┼────────────────┤
    │ provider:anthropic-main:requests │ 20   │ 50 │ 30   │ 24 s           │
    ├──────────────────────────────────┼──────┼────┼──────┼────────────────┤
    │ provider:anthropic-main:tokens   │ 0    │ 9  │ 9    │                │
    └──────────────────────────────────┴──────┴────┴──────┴────────────────┘

    new (openai)
    no model of it is known"
  `);
});

test('without an account it says so', async () => {
  expect(await accountTables([], NOW)).toBe('no provider account is named in config/providers.yaml');
});
