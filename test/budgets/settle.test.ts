import { beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../helpers/eventually.ts';
import { ask, get, post } from '../helpers/sidecar-client.ts';
import { sidecarsOn } from './sidecars.ts';

const TTL_S = 1;

/** Through two real sidecars: what one takes, the other settles. */
describe('what a call was estimated at, and what it used', () => {
  let first: string;
  let second: string;

  beforeAll(async () => {
    [first, second] = (await sidecarsOn(2, { RESERVATION_TTL_S: `${TTL_S}` })) as [string, string];
  }, 120_000);

  const DAY = (user: string) => `user:${user}:tokens:day`;

  const call = async (user: string, input: object) => {
    const { body } = await ask(first, { tenant_id: 'acme', user_id: user, ...input }, 'decision');
    return { id: body.decision_id as string, decision: body.result };
  };

  const report = async (id: string, more: object) =>
    (await post(`${second}/v1/usage`, { decision_id: id, tenant_id: 'acme', ...more })).body;

  const record = async (id: string) => (await get(`${second}/v1/decisions/${id}`)).body;

  /** What the next call finds of the day. */
  const usedBy = async (user: string) => {
    const { body } = await post(`${second}/v1/data/openclaw/rate_limit/allow?dry_run=true&explain=full`, {
      input: { tenant_id: 'acme', user_id: user },
    });
    return body.explanation.find(({ limit }: { limit?: string }) => limit === DAY(user)).before;
  };

  test('prompt and expected answer are reserved, and the real tokens settle it', async () => {
    const { decision, id } = await call('ann', { input_tokens: 1_200, max_output_tokens: 800 });
    expect(decision).toMatchObject({ allow: true, reason: 'ok' });
    expect(await usedBy('ann')).toBe(2_000);
    const usage = { input: 1_150, output: 310, cache_read: 40 };
    const settled = await report(id, { outcome: 'succeeded', usage });
    expect(settled).toMatchObject({ state: 'settled' });
    expect(settled.changes.find((change: { id: string }) => change.id === DAY('ann'))).toMatchObject({ amount: -500 });
    expect(await usedBy('ann')).toBe(1_500);
    expect(await report(id, { outcome: 'succeeded', usage })).toEqual(settled);
    expect(await usedBy('ann')).toBe(1_500);
    expect(await record(id)).toMatchObject({ state: 'settled' });
  });

  test('a call that failed and used nothing gives it all back', async () => {
    const { id } = await call('ben', { estimated_tokens: 30_000 });
    expect(await usedBy('ben')).toBe(30_000);
    expect(await report(id, { outcome: 'failed' })).toMatchObject({ state: 'voided' });
    expect(await usedBy('ben')).toBe(0);
  });

  test('more than there is becomes debt: nothing goes until the reset, however little', async () => {
    const { id } = await call('cleo', { estimated_tokens: 1_000 });
    const settled = await report(id, { outcome: 'succeeded', usage: { input: 40_000, output: 50_000 } });
    const change = settled.changes.find((each: { id: string }) => each.id === DAY('cleo'));
    expect(change).toMatchObject({ amount: 89_000, crossed: [75, 90, 100] });
    for (const estimated_tokens of [1, 0]) {
      const { decision } = await call('cleo', { estimated_tokens });
      expect(decision).toMatchObject({ allow: false, reason: 'budget_exceeded', status: 429 });
    }
    expect((await call('other', { estimated_tokens: 1 })).decision).toMatchObject({ allow: true });
  });

  test('a call that nobody reports stays at its estimate, is shown as such, and can still be corrected', async () => {
    const { id } = await call('dora', { estimated_tokens: 7_000 });
    const { limits, state } = await record(id);
    expect(['reserved', 'expired']).toContain(state);
    expect(limits.find((limit: { id: string }) => limit.id === DAY('dora'))).toMatchObject({ before: 0, after: 7_000 });
    await eventually(async () => expect((await record(id)).state).toBe('expired'), { timeoutMs: 30_000 });
    expect(await usedBy('dora')).toBe(7_000);
    await report(id, { outcome: 'succeeded', usage: { input: 2_000, output: 500 } });
    expect(await usedBy('dora')).toBe(2_500);
    expect((await record(id)).state).toBe('settled');
  });

  test('without a word of its size a call is taken for a short prompt and the answer that the file expects', async () => {
    await call('eve', {});
    expect(await usedBy('eve')).toBe(500);
    await call('eve', { prompt_chars: 4_001 });
    expect(await usedBy('eve')).toBe(500 + 1_001 + 500);
  });
});
