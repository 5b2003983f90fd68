import { expect, test } from 'vitest';
import { FakeProvider, type ProviderRules } from './fake-provider.ts';
import { ACCOUNTS } from './world.ts';

const START = Date.parse('2026-01-15T12:00:00Z');
const call = (input: number) => ({ estimated: input, input });

/** How many calls are accepted at this instant, until the first refusal. */
function accepted(provider: FakeProvider, input: number, at: number): number {
  for (let calls = 0; ; calls++) if (provider.arrive(call(input), at, 'ours').status === 429) return calls;
}

test('a minute’s requests at once, then one at a time as they drip in; it says how long to wait', () => {
  const provider = new FakeProvider(ACCOUNTS.anthropic.rules);
  expect(accepted(provider, 1, START)).toBe(1_000);
  expect(accepted(provider, 1, START + 59)).toBe(0);
  expect(accepted(provider, 1, START + 60)).toBe(1);
  expect(provider.arrive(call(1), START + 60, 'ours')).toMatchObject({
    retryAfter: 1,
    headers: { 'anthropic-ratelimit-requests-remaining': '0' },
  });
});

test('tokens as each provider counts them: the real prompt, or the larger of the estimate and max_tokens', () => {
  const real = { estimated: 10_000, input: 13_000 };
  const used = ({ tokensOf }: ProviderRules) => tokensOf(real);
  expect(used(ACCOUNTS.anthropic.rules)).toBe(13_000);
  expect(used(ACCOUNTS.openai.rules)).toBe(10_000);
  expect(ACCOUNTS.openai.rules.tokensOf(call(100))).toBe(4_096);
  const provider = new FakeProvider(ACCOUNTS.anthropic.rules);
  expect(accepted(provider, 100_000, START)).toBe(4);
  expect(provider.arrive(call(100_000), START, 'ours').retryAfter).toBe(7);
});

test('a day of Los Angeles', () => {
  const provider = new FakeProvider(ACCOUNTS.google.rules);
  const perMinute = (from: number, minutes: number) => {
    let sum = 0;
    for (let minute = 0; minute < minutes; minute++) sum += accepted(provider, 1, from + minute * 60_000);
    return sum;
  };
  expect(perMinute(START, 110)).toBe(1_500);
  const midnight = Date.parse('2026-01-16T00:00:00-08:00');
  expect(accepted(provider, 1, midnight - 1)).toBe(0);
  expect(accepted(provider, 1, midnight)).toBe(15);
});

test('it knows which refusals are because of others', () => {
  const provider = new FakeProvider(ACCOUNTS.anthropic.rules);
  expect(provider.arrive(call(300_000), START, 'others').status).toBe(200);
  expect(provider.arrive(call(200_000), START, 'ours')).toMatchObject({ status: 429, becauseOfOthers: true });
  expect(provider.arrive(call(100_000), START, 'ours').status).toBe(200);
  expect(provider.arrive(call(400_000), START, 'ours')).toMatchObject({ status: 429, becauseOfOthers: false });
});
