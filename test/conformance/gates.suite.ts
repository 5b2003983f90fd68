import { describe, expect, test } from 'vitest';
import { MAX_AMOUNT } from '../../schemas/amounts.ts';
import { candidates, limit, type Workbench } from './workbench.ts';

const SHARED = 'shared:anthropic' as const;
const sonnet = { model: 'sonnet', limits: [], gates: ['cooldown:sonnet'] };
const haiku = { model: 'haiku', limits: [], gates: ['cooldown:haiku'] };

export function describeGates(bench: () => Workbench, { settableClock }: { settableClock: boolean }): void {
  const close = (name: string, until = MAX_AMOUNT, scope: 'tenant' | typeof SHARED = 'tenant') =>
    bench().store.setGate({ tenantId: bench().tenant, scope, name }, until);
  const open = (name: string) => bench().store.setGate({ tenantId: bench().tenant, scope: 'tenant', name }, undefined);

  describe('C16 a gate that is closed passes its candidate over', () => {
    test('the next one is taken, and the answer says why', async () => {
      const budget = limit({ id: 'budget' });
      const plan = candidates([budget], sonnet, haiku);
      expect((await bench().taken(plan)).outcome).toMatchObject({ candidate: 'sonnet', closed: [] });
      await close('cooldown:sonnet');
      const { outcome } = await bench().taken(plan);
      expect(outcome).toMatchObject({
        candidate: 'haiku',
        closed: [{ gate: 'cooldown:sonnet', candidate: 'sonnet', until: MAX_AMOUNT }],
      });
      expect(await bench().peek(plan)).toMatchObject({ candidate: 'haiku', closed: outcome.closed });
      await open('cooldown:sonnet');
      expect((await bench().taken(plan)).outcome).toMatchObject({ candidate: 'sonnet', closed: [] });
    });

    test('with all of them closed nothing is taken', async () => {
      const budget = limit({ id: 'budget' });
      const plan = candidates([budget], sonnet, haiku);
      await close('cooldown:sonnet');
      await close('cooldown:haiku');
      const outcome = await bench().refused(plan);
      expect(outcome).toMatchObject({
        granted: false,
        candidate: null,
        limits: [{ id: 'budget', granted: true, used: 0 }],
      });
      expect(outcome.closed.map(({ gate }) => gate)).toEqual(['cooldown:sonnet', 'cooldown:haiku']);
      expect(await bench().used(budget)).toBe(0);
    });

    test('a replay tells of it as the first answer did', async () => {
      const plan = candidates([], sonnet, haiku);
      await close('cooldown:sonnet');
      const { outcome } = await bench().taken(plan, { requestId: 'once' });
      await open('cooldown:sonnet');
      expect(await bench().take(plan, { requestId: 'once' })).toMatchObject({ kind: 'replayed', outcome });
    });

    test('a tenant’s gates are the tenant’s, those of an account are everybody’s', async () => {
      const plan = candidates([], { ...sonnet, scope: SHARED }, haiku);
      await close('cooldown:sonnet', MAX_AMOUNT, SHARED);
      const event = { tenant_id: `${bench().tenant} other` };
      expect((await bench().taken(plan, { event })).outcome.candidate).toBe('haiku');
      await close('cooldown:haiku');
      expect((await bench().taken(plan, { event })).outcome.candidate).toBe('haiku');
      expect((await bench().refused(plan)).closed.map(({ gate }) => gate)).toEqual([
        'cooldown:sonnet',
        'cooldown:haiku',
      ]);
    });

    test('whatever it is called', async () => {
      for (const name of ['{p0}', 'a:b', '@anthropic', 'a%3Ab', 'two\nlines']) {
        const plan = candidates([], { model: 'sonnet', limits: [], gates: [name] });
        expect((await bench().taken(plan)).outcome.closed).toEqual([]);
        await close(name);
        expect((await bench().refused(plan)).closed).toMatchObject([{ gate: name }]);
      }
    });

    if (!settableClock) return;

    test('until its time is over by the store’s clock', async () => {
      const plan = candidates([], sonnet);
      const until = bench().clock.now() + 60_000;
      await close('cooldown:sonnet', until);
      await bench().advance(59_999);
      expect((await bench().refused(plan)).closed).toEqual([{ gate: 'cooldown:sonnet', candidate: 'sonnet', until }]);
      await bench().advance(1);
      expect((await bench().taken(plan)).outcome.closed).toEqual([]);
    });
  });

  describe('C16 the key of the one who asks is a gate of every take', () => {
    test('revoked, it takes nothing, also not what it was granted before', async () => {
      const wanted = limit();
      await bench().taken(wanted, { keyGate: 'key:1', requestId: 'once' });
      await close('key:1');
      expect(await bench().take(wanted, { keyGate: 'key:1' })).toMatchObject({ kind: 'closed' });
      expect(await bench().take(wanted, { keyGate: 'key:1', requestId: 'once' })).toMatchObject({ kind: 'closed' });
      expect((await bench().take(wanted, { keyGate: 'key:2' })).kind).toBe('taken');
      expect(await bench().used(wanted)).toBe(2);
      expect((await bench().events()).map(({ outcome, type }) => [type, outcome.reason])).toEqual([
        ['consumed', 'ok'],
        ['denied', 'revoked_key'],
        ['denied', 'revoked_key'],
        ['consumed', 'ok'],
      ]);
    });
  });
}
