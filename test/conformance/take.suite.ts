import { describe, expect, test } from 'vitest';
import { limit, only, plan, type Workbench } from './workbench.ts';

const user = limit({ id: 'user', subject: { type: 'user', id: 'alice' }, capacity: 10, cost: 2 });
const team = limit({ id: 'team', subject: { type: 'team', id: 'red' }, capacity: 100, cost: 3 });
const single = limit({ id: 'single', capacity: 1, cost: 1 });

export function describeTake(bench: () => Workbench): void {
  describe('C1 all or nothing', () => {
    test('a grant charges every limit its own cost', async () => {
      await bench().taken(plan(user, team, single));
      expect(await Promise.all([user, team, single].map((each) => bench().used(each)))).toEqual([2, 3, 1]);
    });

    test.each([
      ['first', [single, user, team]],
      ['second', [user, single, team]],
      ['last', [user, team, single]],
    ])('with the %s of three limits short, none is charged', async (_, limits) => {
      await bench().taken(plan(...limits));
      const { granted } = await bench().refused(plan(...limits));
      expect(granted).toBe(false);
      expect(await Promise.all([user, team, single].map((each) => bench().used(each)))).toEqual([2, 3, 1]);
    });

    test('a plan with no limits is granted, and has its event', async () => {
      expect((await bench().taken(plan())).outcome).toEqual({ granted: true, candidate: null, closed: [], limits: [] });
      expect(await bench().events()).toMatchObject([{ type: 'consumed', limits: [] }]);
    });
  });

  describe('C2 a denial costs nothing', () => {
    test('it leaves everything as it was, but for its own event', async () => {
      await bench().taken(plan(user, single));
      const before = await bench().peek(plan(user, single));
      const id = bench().newId();
      await bench().refused(plan(user, single), { decisionId: id, requestId: 'again' });
      // The wait grows shorter with the time that the test takes.
      const waiting = before.limits.map((each) => ({ ...each, retry_after_ms: expect.any(Number) }));
      expect(await bench().peek(plan(user, single))).toEqual({ ...before, limits: waiting });
      expect(await bench().store.record(id)).toBeUndefined();
      const [, denied] = await bench().events();
      expect(denied).toMatchObject({
        id: `${id}:denied`,
        type: 'denied',
        limits: [],
        outcome: { granted: false, reason: 'rate_limited' },
        count: 1,
      });
    });

    test('it says which limits were short, each with its own wait', async () => {
      const slow = limit({ id: 'slow', capacity: 1, refill: { amount: 1, per_seconds: 3600 } });
      const quick = limit({ id: 'quick', capacity: 1, refill: { amount: 1, per_seconds: 60 } });
      await bench().taken(plan(slow, quick));
      const { granted, limits } = await bench().refused(plan(user, slow, quick));
      expect(granted).toBe(false);
      expect(limits).toMatchObject([
        { id: 'user', granted: true, over: false, before: 0, used: 0, retry_after_ms: 0 },
        { id: 'slow', granted: false, over: true, before: 1, used: 1 },
        { id: 'quick', granted: false, over: true, before: 1, used: 1 },
      ]);
      const [, slowWait, quickWait] = limits.map(({ retry_after_ms }) => retry_after_ms ?? -1);
      expect(slowWait).toBeGreaterThan(3_590_000);
      expect(slowWait).toBeLessThanOrEqual(3_600_000);
      expect(quickWait).toBeGreaterThan(50_000);
      expect(quickWait).toBeLessThanOrEqual(60_000);
    });

    test('a cost above the capacity never has room, and says so', async () => {
      const tooDear = limit({ cost: 11 });
      expect(only(await bench().refused(tooDear))).toMatchObject({ granted: false, over: true, retry_after_ms: null });
      expect(await bench().used(tooDear)).toBe(0);
    });

    test('a request that was refused before anything could be taken is counted', async () => {
      const id = bench().newId();
      const event = { tenant_id: bench().tenant, user_id: 'bob', model: 'm', policy_revision: 'r1' };
      await bench().store.deny({ decisionId: id, event, reason: 'unknown_tenant' });
      expect(await bench().events()).toMatchObject([
        {
          ...event,
          id: `${id}:denied`,
          type: 'denied',
          outcome: { granted: false, reason: 'unknown_tenant' },
          count: 1,
        },
      ]);
    });
  });

  describe('what an outcome says', () => {
    test('the numbers of a grant', async () => {
      await bench().taken(limit({ cost: 3 }));
      const { at, outcome } = await bench().taken(limit({ cost: 4 }));
      const { reset_at, ...rest } = only(outcome);
      expect(rest).toEqual({
        id: 'bucket',
        granted: true,
        over: false,
        crossed: [],
        on_exceed: 'deny',
        capacity: 10,
        before: 3,
        used: 7,
        remaining: 3,
        used_percent: 70,
        retry_after_ms: 0,
      });
      expect(reset_at).toBeGreaterThan(at);
      expect(reset_at).toBeLessThanOrEqual(at + 86_400_000);
    });

    test('a peek says what a take would come to, and changes nothing', async () => {
      const wanted = plan(limit({ cost: 6 }));
      const peeked = await bench().peek(wanted);
      expect(await bench().peek(wanted)).toMatchObject({ granted: true, limits: [{ before: 0, used: 6 }] });
      expect(only((await bench().taken(wanted)).outcome).used).toBe(only(peeked).used);
      expect(await bench().peek(wanted)).toMatchObject({ granted: false, limits: [{ before: 6, used: 6 }] });
      expect(await bench().events()).toHaveLength(1);
    });

    test('a flag limit never refuses, and tells when it is over', async () => {
      const soft = limit({ capacity: 5, cost: 3, on_exceed: 'flag' });
      expect(only((await bench().taken(soft)).outcome)).toMatchObject({ granted: true, over: false, used: 3 });
      const over = { granted: true, over: true, used: 6, remaining: 0, used_percent: 120 };
      expect(only((await bench().taken(soft)).outcome)).toMatchObject(over);
      expect(await bench().used(soft)).toBe(6);
    });

    test('a flag limit is not charged where a deny limit refuses', async () => {
      const soft = limit({ id: 'soft', on_exceed: 'flag' });
      await bench().refused(plan(soft, limit({ id: 'dear', cost: 11 })));
      expect(await bench().used(soft)).toBe(0);
    });
  });

  describe('C5 allowed if and only if its usage event is in the stream', () => {
    test('a take appends one event that says what it charged', async () => {
      const billed = limit({ id: 'billed', billed: true, cost: 4 });
      const subject = {
        request_id: 'q',
        run_id: 'run',
        user_id: 'u',
        team_id: 't',
        project_id: 'p',
        department_id: 'd',
        agent_id: 'a',
        channel: 'c',
        provider: 'anthropic',
        model: 'sonnet',
        policy_revision: 'r1',
      };
      const { at, id } = await bench().taken(plan(user, billed), { event: subject });
      expect(await bench().events()).toEqual([
        {
          v: 1,
          id: `${id}:consumed`,
          type: 'consumed',
          decision_id: id,
          tenant_id: bench().tenant,
          ...subject,
          limits: [
            { id: 'user', kind: 'token_bucket', unit: 'tokens', amount: 2, before: 0, after: 2, period_start: at },
            {
              id: 'billed',
              kind: 'token_bucket',
              unit: 'tokens',
              billed: true,
              amount: 4,
              before: 0,
              after: 4,
              period_start: at,
            },
          ],
          outcome: { granted: true, reason: 'ok' },
          count: 1,
          decided_at: at,
          at,
        },
      ]);
    });

    test('what a later report corrects is a reservation', async () => {
      await bench().taken(plan(user, limit({ settles: true })));
      expect(await bench().events()).toMatchObject([{ type: 'reserved' }]);
    });

    test('events come in the order of the takes, each with the counter as it left it', async () => {
      await Promise.all(Array.from({ length: 20 }, () => bench().taken(limit({ capacity: 100, cost: 3 }))));
      const counted = (await bench().events()).map(({ limits }) => [limits[0]?.before, limits[0]?.after]);
      expect(counted).toEqual(Array.from({ length: 20 }, (_, n) => [3 * n, 3 * n + 3]));
    });
  });

  describe('what is decided together is decided each by its own limits', () => {
    // Of one rule, and of two: what is sent of them alike is read once.
    const names = Array.from({ length: 24 }, (_, n) => `u ${n % 12}/"é"`);
    const own = (name: string, more = {}) => limit({ id: `of ${name}`, subject: { type: 'user', id: name }, ...more });
    const second = (name: string) => own(name, { id: `requests of ${name}`, unit: 'requests', capacity: 30 });

    test('each is charged to its own counters, and told of by their ids', async () => {
      const taken = await Promise.all(
        names.map((name, n) => bench().taken(plan(own(name, { cost: 1 + (n % 3) }), second(name)))),
      );
      for (const [n, { outcome }] of taken.entries()) {
        const ids = [`of ${names[n]}`, `requests of ${names[n]}`];
        expect(outcome.limits.map(({ id }) => id)).toEqual(ids);
        expect(outcome.limits.map(({ before }) => before)).toEqual(n < 12 ? [0, 0] : [1 + (n % 3), 1]);
      }
      const counted = (await bench().events()).map((event) =>
        event.limits.map(({ id, before, after }) => [id, before, after]),
      );
      expect(counted.toSorted()).toEqual(
        taken.map(({ outcome }) => outcome.limits.map(({ id, before, used }) => [id, before, used])).toSorted(),
      );
      const used = await Promise.all(
        names
          .slice(0, 3)
          .flatMap((name) => [own(name), second(name)])
          .map((each) => bench().used(each)),
      );
      expect(used).toEqual([2, 2, 4, 2, 6, 2]);
    });

    test('also where the rules of some are others', async () => {
      const results = await Promise.all(names.map((name, n) => bench().take(own(name, { capacity: n % 2, cost: 1 }))));
      const kinds = results.map(({ kind }) => kind);
      expect(kinds).toEqual(names.map((_, n) => (n % 2 && n < 12 ? 'taken' : 'refused')));
    });

    test('limits of one subject that come to another plan later', async () => {
      const [name = ''] = names;
      const plans = [plan(own(name)), plan(second(name)), plan(second(name), own(name)), plan(own(name), second(name))];
      const taken = await Promise.all(plans.map((each) => bench().taken(each)));
      expect(taken.map(({ outcome }) => outcome.limits.map(({ used }) => used))).toEqual([[1], [1], [2, 2], [3, 3]]);
    });
  });

  describe('C6 no deny limit is overspent', () => {
    test('of 64 at once against a capacity of 10, exactly 10 are granted', async () => {
      const results = await Promise.all(Array.from({ length: 64 }, () => bench().take(limit({ capacity: 10 }))));
      expect(results.filter(({ kind }) => kind === 'taken')).toHaveLength(10);
      expect(results.filter(({ kind }) => kind === 'refused')).toHaveLength(54);
      expect(await bench().used(limit())).toBe(10);
      const events = await bench().events();
      expect(events.filter(({ type }) => type === 'consumed')).toHaveLength(10);
      expect(events.filter(({ type }) => type === 'denied')).toHaveLength(54);
    });

    test('also where each draws on several limits, one of them its own', async () => {
      const shared = limit({ id: 'shared', capacity: 25, cost: 2 });
      const own = (n: number) => limit({ id: 'own', subject: { type: 'user', id: `u${n % 8}` }, capacity: 2 });
      const results = await Promise.all(Array.from({ length: 64 }, (_, n) => bench().take(plan(own(n), shared))));
      expect(results.filter(({ kind }) => kind === 'taken')).toHaveLength(12);
      expect(await bench().used(shared)).toBe(24);
      const owned = await Promise.all(Array.from({ length: 8 }, (_, n) => bench().used(own(n))));
      expect(owned.reduce((sum, used) => sum + used)).toBe(12);
    });
  });

  describe('C8 a changed capacity holds from the next decision, and what was used stays used', () => {
    test('a smaller one refuses what is above it', async () => {
      await bench().taken(limit({ cost: 8 }));
      expect(only(await bench().refused(limit({ capacity: 5 })))).toMatchObject({ used: 8, capacity: 5, remaining: 0 });
      expect(await bench().used(limit())).toBe(8);
    });

    test('a larger one has room at once', async () => {
      await bench().taken(limit({ cost: 10 }));
      await bench().refused(limit());
      expect(only((await bench().taken(limit({ capacity: 12, cost: 2 }))).outcome)).toMatchObject({ used: 12 });
      await bench().refused(limit({ capacity: 12 }));
    });

    test('a capacity of nothing grants only what costs nothing', async () => {
      await bench().refused(limit({ capacity: 0 }));
      expect(only((await bench().taken(limit({ capacity: 0, cost: 0 }))).outcome)).toMatchObject({ used_percent: 100 });
    });
  });
}
