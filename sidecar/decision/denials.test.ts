import { pino } from 'pino';
import { describe, expect, test } from 'vitest';
import { planSchema } from '../../schemas/policy-io.ts';
import { TestClock } from '../../test/helpers/clock.ts';
import { SETTINGS } from '../../test/helpers/counter-settings.ts';
import { tempDir } from '../../test/helpers/temp-dir.ts';
import { atTestEnd } from '../../test/helpers/test-end.ts';
import { type CounterStore, CountersUnavailable, type EventSubject } from '../counters/contract.ts';
import { createEmbeddedStore } from '../counters/embedded/open.ts';
import { Denials, type DenialsDeps } from './denials.ts';

const START = Date.parse('2026-01-01T12:00:00Z');
const log = pino({ level: 'silent' });

const plan = (cost: number) =>
  planSchema.parse({
    limits: [
      {
        id: 'bucket',
        subject: { type: 'tenant', id: 'acme' },
        unit: 'tokens',
        kind: 'token_bucket',
        capacity: 1_000,
        cost,
        refill: { amount: 1_000, per_seconds: 86_400, mode: 'interval' },
      },
    ],
  });

const ALICE = { tenant_id: 'acme', user_id: 'alice', agent_id: 'coder' };

/** Denials on a real store, with a test clock and a way to make the store go away. */
async function open(deps: Partial<DenialsDeps> = {}) {
  const clock = new TestClock(START);
  const { close, store, stream } = await createEmbeddedStore({
    dataDir: await tempDir('denials'),
    clock,
    log,
    settings: SETTINGS,
  });
  atTestEnd(close);
  let down = false;
  const reached = <Result>(work: () => Promise<Result>): Promise<Result> =>
    down ? Promise.reject(new CountersUnavailable('away')) : work();
  const switched: DenialsDeps['store'] = {
    partitionOf: () => 7,
    take: (request) => reached(() => store.take(request)),
    deny: (denial) => reached(() => store.deny(denial)),
  };
  const denials = new Denials({ store: switched, clock, log, ...deps });
  let asked = 0;
  return {
    clock,
    denials,
    setDown: (value: boolean) => {
      down = value;
    },
    take: (event: EventSubject = ALICE, cost = 2_000) =>
      denials.take({ decisionId: `take-${asked++}.7`, plan: plan(cost), event, fingerprint: '' }),
    deny: (event: EventSubject = ALICE, reason = 'unknown_model') =>
      denials.deny({ decisionId: `deny-${asked++}.7`, event, reason }),
    events: async () => {
      const entries = await stream.read(100_000, 1);
      return entries.map(({ event }) => JSON.parse(event ?? ''));
    },
  };
}

const times = async (count: number, work: () => Promise<unknown>) => {
  for (let done = 0; done < count; done++) await work();
};

const total = (events: { count: number }[]) => events.reduce((sum, { count }) => sum + count, 0);

describe('denials of one caller in one second', () => {
  test('up to 10 are kept one by one, with all that is known of them', async () => {
    const { denials, events, take } = await open();
    await times(10, () => take({ ...ALICE, team_id: 'core', model: 'm', request_id: 'r' }));
    await denials.write();
    const found = await events();
    expect(found).toHaveLength(10);
    expect(new Set(found.map(({ id }) => id)).size).toBe(10);
    for (const event of found) {
      expect(event).toMatchObject({ ...ALICE, type: 'denied', count: 1, team_id: 'core', model: 'm', request_id: 'r' });
    }
  });

  test('beyond that they are one event: id, names, count, the most frequent reason', async () => {
    const { denials, deny, events, take } = await open();
    await times(30, () => take({ ...ALICE, team_id: 'core', model: 'm', request_id: 'r' }));
    await times(25, () => deny());
    expect(denials.unwritten).toBe(45);
    await denials.write();
    expect(denials.unwritten).toBe(0);
    const found = await events();
    expect(found).toHaveLength(11);
    const second = START / 1_000;
    const decisionId = expect.stringMatching(
      new RegExp(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}:[\\w-]{22}:${second}\\.7$`),
    );
    expect(found.at(-1)).toEqual({
      ...ALICE,
      v: 1,
      id: `${found.at(-1).decision_id}:denied`,
      type: 'denied',
      decision_id: decisionId,
      limits: [],
      outcome: { granted: false, reason: 'unknown_model' },
      count: 45,
      decided_at: START,
      at: START,
    });
  });

  test('of 100 at once no more than 10 are kept', async () => {
    const { denials, events, take } = await open();
    await Promise.all(Array.from({ length: 100 }, () => take()));
    expect(await events()).toHaveLength(10);
    expect(denials.unwritten).toBe(90);
  });

  test('the next second, by the monotonic clock, has 10 again', async () => {
    const { clock, denials, events, take } = await open();
    await times(15, () => take());
    clock.set(START + 3_600_000);
    await times(5, () => take());
    expect(denials.unwritten).toBe(10);
    clock.advance(1_000);
    await times(15, () => take());
    expect(denials.unwritten).toBe(15);
    await denials.write();
    expect(total(await events())).toBe(35);
  });

  test('another caller has 10 of its own: user, agent and tenant tell them apart', async () => {
    const { denials, events, take } = await open();
    await times(20, () => take());
    const others = [{ ...ALICE, user_id: 'bob' }, { ...ALICE, agent_id: 'other' }, { tenant_id: 'acme' }];
    for (const other of others) await times(10, () => take(other));
    expect(denials.unwritten).toBe(10);
    expect(await events()).toHaveLength(40);
  });

  test('grants have no share in the 10, however many are under way', async () => {
    const { denials, events, take } = await open();
    await Promise.all(Array.from({ length: 200 }, () => take(ALICE, 1)));
    await Promise.all([
      ...Array.from({ length: 50 }, () => take(ALICE, 1)),
      ...Array.from({ length: 9 }, () => take()),
    ]);
    await denials.write();
    const denied = (await events()).filter(({ type }) => type === 'denied');
    expect(denied).toHaveLength(9);
    expect(denied.every(({ count, decision_id }) => count === 1 && decision_id.startsWith('take-'))).toBe(true);
  });
});

describe('what is counted is written once', () => {
  test('with an id of its own, also where the clock is set back or two writes come in one second', async () => {
    const { clock, denials, events, take } = await open();
    for (const change of [() => {}, () => {}, () => clock.set(START - 3_600_000), () => clock.advance(1_000)]) {
      change();
      await times(20, () => take());
      await denials.write();
      await denials.write();
    }
    const found = await events();
    expect(total(found)).toBe(80);
    expect(new Set(found.map(({ id }) => id)).size).toBe(found.length);
    expect(found.filter(({ count }) => count > 1).map(({ count }) => count)).toEqual([10, 20, 20, 10]);
  });

  test('by two processes with ids that differ', async () => {
    const [one, other] = await Promise.all([open(), open()]);
    const ids = [];
    for (const { denials, events, take } of [one, other]) {
      await times(20, () => take());
      await denials.write();
      ids.push((await events()).at(-1).id);
    }
    expect(ids[0]).not.toBe(ids[1]);
  });

  test('within a second of the real clock, without being asked', async () => {
    const { denials, deny, events } = await open();
    denials.start();
    await times(30, () => deny());
    let written = 0;
    const writing = async () => {
      written += total(await events());
      return written;
    };
    await expect.poll(writing, { timeout: 10_000 }).toBe(30);
    await denials.close();
  });

  test('at the end', async () => {
    const { denials, deny, events } = await open();
    denials.start();
    await times(30, () => deny());
    await denials.close();
    expect(total(await events())).toBe(30);
  });
});

describe('while the store is away', () => {
  test('refusals by the plan are counted, and written when it is back', async () => {
    const { denials, deny, events, setDown } = await open();
    setDown(true);
    await times(5, () => deny());
    await times(2_000, () => deny({ tenant_id: 'globex' }));
    await denials.write();
    expect(denials.unwritten).toBe(2_005);
    await times(1, () => deny());
    setDown(false);
    await denials.write();
    expect((await events()).map(({ count, tenant_id }) => [tenant_id, count]).toSorted()).toEqual([
      ['acme', 6],
      ['globex', 2_000],
    ]);
  });

  test('a take says so, and is not counted: whether it was refused is not known', async () => {
    const { denials, setDown, take } = await open();
    setDown(true);
    await expect(take()).rejects.toThrow(CountersUnavailable);
    expect(denials.unwritten).toBe(0);
  });

  test('what could not be written at the end is said to be lost', async () => {
    const said: string[] = [];
    const loud = pino({ level: 'error' }, { write: (line: string) => said.push(line) });
    const { denials, deny, setDown } = await open({ log: loud });
    setDown(true);
    await times(3, () => deny());
    await denials.close();
    expect(said.map((line) => JSON.parse(line))).toMatchObject([{ count: 3 }]);
  });

  test('a count that alone cannot be written does not hold up the others', async () => {
    const written: string[] = [];
    const picky: Pick<CounterStore, 'deny'> = {
      deny: async ({ event }) => {
        if (event.tenant_id === 'gone') throw new CountersUnavailable('its partition is away');
        written.push(event.tenant_id);
      },
    };
    const { denials } = await open({ store: { ...picky, partitionOf: () => 0, take: () => Promise.reject() } });
    for (const tenant_id of ['gone', 'here']) {
      await times(20, () => denials.deny({ decisionId: 'x', event: { tenant_id }, reason: 'unknown_model' }));
    }
    await denials.write();
    expect(written).toHaveLength(11);
    expect(denials.unwritten).toBe(20);
  });
});

describe('memory is bounded', () => {
  test('beyond so many callers denials are counted under their tenant, beyond so many tenants under none', async () => {
    const { denials, deny, events, setDown } = await open({ maxCallers: 50 });
    setDown(true);
    for (let user = 0; user < 500; user++) await deny({ tenant_id: 'acme', user_id: `user-${user}` });
    for (let tenant = 0; tenant < 500; tenant++) await deny({ tenant_id: `tenant-${tenant}`, user_id: 'u' });
    await denials.write();
    setDown(false);
    await denials.write();
    const found = await events();
    expect(total(found)).toBe(1_000);
    expect(found).toHaveLength(101);
    expect(total(found.filter(({ tenant_id }) => tenant_id === 'acme'))).toBe(500);
    expect(total(found.filter(({ tenant_id }) => tenant_id === ''))).toBe(451);
  });

  test('callers that are granted are not remembered', async () => {
    const { denials, events, take } = await open({ maxCallers: 5 });
    for (let user = 0; user < 100; user++) await take({ ...ALICE, user_id: `user-${user}` }, 1);
    await take();
    expect(denials.unwritten).toBe(0);
    expect((await events()).at(-1)).toMatchObject({ ...ALICE, type: 'denied', count: 1 });
  });
});
