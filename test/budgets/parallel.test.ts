import { describe, expect, test } from 'vitest';
import { ask, inParallel } from '../helpers/sidecar-client.ts';
import { Desk, NOON, policyOn, told, use } from './pipeline.ts';
import { sidecarsOn } from './sidecars.ts';
import { tableText } from './table-file.ts';

const ALICE = { tenant_id: 'acme', user_id: 'user_alice', model: 'anthropic/claude-sonnet-4-5' };

describe('ten requests at once of a user at 99 %, each of the last percent', () => {
  const reasonsBy = async (action: string) => {
    const desk = new Desk(await policyOn({ 'budgets.yaml': tableText(action) }), NOON);
    await use(desk, ALICE, { day: 99_000, month: 99_000 });
    const answers = await Promise.all(
      Array.from({ length: 10 }, () => desk.ask({ ...ALICE, estimated_tokens: 1_000 })),
    );
    return answers.map((answer) => told(answer).reason).sort();
  };

  test('hard_stop: one gets through', async () => {
    expect(await reasonsBy('hard_stop')).toEqual([...Array(9).fill('budget_exceeded'), 'ok']);
  });

  test('reduced_priority: one gets the model that it asks for', async () => {
    expect(await reasonsBy('reduced_priority')).toEqual(['ok', ...Array(9).fill('routed_cheaper')]);
  });

  test('soft_limit: all get through, and nine are flagged', async () => {
    expect(await reasonsBy('soft_limit')).toEqual(['ok', ...Array(9).fill('over_soft_limit')]);
  });

  test('at three sidecars on one Redis', { timeout: 120_000 }, async () => {
    const sidecars = await sidecarsOn(3);
    const [first] = sidecars as [string];
    const most = await ask(first, { ...ALICE, estimated_tokens: 99_000 }, 'decision');
    expect(most.body.result).toMatchObject({
      allow: true,
      obligations: { footer: expect.stringContaining('99000/100000') },
    });
    const answers = await inParallel(10, 10, (index) =>
      ask(sidecars[index % sidecars.length] as string, { ...ALICE, estimated_tokens: 1_000 }, 'decision'),
    );
    const results = answers.map(({ body }) => body.result);
    expect(results.map(({ reason }) => reason).sort()).toEqual([...Array(9).fill('budget_exceeded'), 'ok']);
    const denied = answers.find(({ body }) => !body.result.allow);
    expect(denied?.body.result).toMatchObject({
      status: 429,
      message: expect.stringMatching(
        /^Your daily budget is used up\. It resets at \d{4}-\d\d-\d\dT\d\d:00:00\.000Z\.$/,
      ),
    });
    expect(denied?.headers.get('RateLimit')).toContain('"user:user_alice:tokens:day";r=0;');
    expect(Number(denied?.headers.get('Retry-After'))).toBeGreaterThan(0);
  });
});
