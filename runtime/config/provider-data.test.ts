import { expect, test } from 'vitest';
import { modelsSchema } from '../../schemas/config/models.ts';
import { accountOf, limitsOf, providersSchema } from '../../schemas/config/providers.ts';
import { providerData } from './provider-data.ts';

const limits = { requests_per_minute: 10 };
const providers = providersSchema.parse({
  accounts: {
    main: { provider: 'lab', limits, kept_back_percent: 15 },
    night: { provider: 'lab', limits, per: 'model', models: ['lab/night', 'lab/n*', 'lab/ni*', 'plain'] },
  },
  models: { 'lab/large': { fallback: ['lab/small'] }, 'lab/small': {} },
  routing: { rules: [{ when: { roles: ['viewer'] }, model: 'lab/small' }] },
});
const card = modelsSchema.parse({
  models: { 'lab/large': { aliases: ['big', 'vast*'] }, 'lab/*': { aliases: ['any'] } },
});
const data = providerData(providers, card);

test('limits are those that the rest of the sidecar counts with', () => {
  const { account } = accountOf('lab/large', providers) ?? {};
  expect(account && limitsOf(account)).toEqual({ requests_per_minute: 8, timezone: 'UTC' });
  expect(data.accounts).toEqual({
    main: { provider: 'lab', per: 'account', limits: { requests_per_minute: 8, timezone: 'UTC' } },
    night: { provider: 'lab', per: 'model', limits: { requests_per_minute: 10, timezone: 'UTC' } },
  });
});

test('what is looked for is found by its name', () => {
  expect(data.account_of_model).toEqual({ 'lab/night': 'night', plain: 'night' });
  expect(data.account_of_prefix).toEqual([
    { prefix: 'lab/ni', account: 'night' },
    { prefix: 'lab/n', account: 'night' },
  ]);
  expect(data.account_of_provider).toEqual({ lab: 'main' });
  expect(data.id_of_alias).toEqual({ big: 'lab/large' });
  expect(data.chains).toEqual({
    'lab/large': { models: ['lab/small'], on: ['rate_limit', 'timeout', 'unavailable'], max_attempts: 2 },
  });
  expect(data.rules).toEqual([{ when: { roles: ['viewer'] }, model: 'lab/small' }]);
});
