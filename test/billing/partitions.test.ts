import postgres, { type Sql } from 'postgres';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { openDatabase } from '../../billing-worker/database/open.ts';
import { Calendar } from '../../billing-worker/ledger/calendar.ts';
import { Ledger } from '../../billing-worker/ledger/ledger.ts';
import { dropOldPartitions } from '../../billing-worker/partitions/drop.ts';
import { PartitionKeeper } from '../../billing-worker/partitions/keeper.ts';
import { makePartitions } from '../../billing-worker/partitions/make.ts';
import { monthAt, monthNamed } from '../../billing-worker/partitions/months.ts';
import type { UsageEvent } from '../../schemas/usage-event.ts';
import { TestClock } from '../helpers/clock.ts';
import { eventually } from '../helpers/eventually.ts';
import { createDatabase } from '../helpers/postgres.ts';
import { atTestEnd } from '../helpers/test-end.ts';
import { SOME_DATABASES, silent } from './databases.ts';
import { billed, streamEntry, usageEvent } from './events.ts';
import { tenants } from './tenants.ts';

const NOW = Date.parse('2030-01-31T23:59:59.999Z');
const at = (instant: string, over: Partial<UsageEvent> = {}) =>
  usageEvent({ decided_at: Date.parse(instant), at: Date.parse(instant), ...over });

test('a month begins and ends where UTC says, also in a leap year and at the end of a year', () => {
  expect(monthAt(NOW)).toEqual({
    name: '2030-01',
    table: 'usage_events_2030_01',
    from: '2030-01-01T00:00:00.000Z',
    to: '2030-02-01T00:00:00.000Z',
  });
  expect([-1, 1, 2].map((after) => monthAt(NOW, after).name)).toEqual(['2029-12', '2030-02', '2030-03']);
  expect(monthAt(Date.parse('2028-02-29T23:59:59.999Z')).to).toBe('2028-03-01T00:00:00.000Z');
  expect(monthNamed('2028-02')?.from).toBe('2028-02-01T00:00:00.000Z');
  for (const wrong of ['2028-13', '2028-00', 'default', '2028-1', '']) expect(monthNamed(wrong)).toBeUndefined();
});

describe.each(SOME_DATABASES)('the partitions of the ledger on $name', ({ open }) => {
  let sql: Sql;

  beforeAll(async () => {
    ({ sql } = await open());
  });

  beforeEach(async () => {
    const months = await sql`
      select relname as name from pg_inherits join pg_class on pg_class.oid = inhrelid
      where inhparent = 'usage_events'::regclass and relname <> 'usage_events_default'`;
    for (const { name } of months) await sql`drop table ${sql(name)}`;
    await sql`truncate usage_events, usage_rollups, dead_letters, usage_months_dropped`;
  });

  const append = (...events: UsageEvent[]) =>
    new Ledger({ sql, terms: { tenants, calendar: new Calendar() }, onCommit: () => {} }).append(
      events.map(streamEntry),
    );

  /** Which partition each event is in. */
  const places = async () =>
    Object.fromEntries(
      (await sql`select id, tableoid::regclass::text as place from usage_events`).map(({ id, place }) => [id, place]),
    );

  test('are made from the month before to two months ahead, once, by however many at once', async () => {
    const made = (await Promise.all([1, 2, 3, 4].map(() => makePartitions(NOW, sql).catch((error) => error)))).flat();
    expect(new Set(made)).toEqual(new Set(['2029-12', '2030-01', '2030-02', '2030-03']));
    expect(await makePartitions(NOW, sql)).toEqual([]);
    const bounds = await sql`
      select pg_get_expr(relpartbound, pg_class.oid) as bounds from pg_class where relname = 'usage_events_2030_03'`;
    expect(bounds[0]?.bounds).toMatch(/FROM \('2030-03-01 00:00:00\+00'\) TO \('2030-04-01 00:00:00\+00'\)/);
  });

  test('an event of a month without one is kept, and moved when its partition is made; a far one waits for its time', async () => {
    const [near, before, far, last] = [
      at('2030-03-31T23:59:59.999Z'),
      at('2028-02-29T12:00:00Z'),
      at('2030-04-01T00:00:00Z'),
      at('9999-11-15T12:00:00Z'),
    ] as const;
    const all = [near, before, far, last];
    await append(...all);
    expect(new Set(Object.values(await places()))).toEqual(new Set(['usage_events_default']));
    await makePartitions(NOW, sql);
    const expected = {
      [near.id]: 'usage_events_2030_03',
      [before.id]: 'usage_events_2028_02',
      [far.id]: 'usage_events_default',
      [last.id]: 'usage_events_default',
    };
    expect(await places()).toEqual(expected);
    await append(...all);
    expect(await places()).toEqual(expected);
    await makePartitions(Date.parse('2030-02-01T00:00:00Z'), sql);
    expect((await places())[far.id]).toBe('usage_events_2030_04');
    expect(await sql`select sum(requests)::int as requests from usage_rollups`).toEqual([{ requests: 4 }]);
  });

  test('a partition has all indexes and checks of the ledger', async () => {
    await makePartitions(NOW, sql);
    const indexes = (table: string) => sql`
      select count(*)::int as n from pg_index where indrelid = ${table}::regclass and indisvalid`;
    expect(await indexes('usage_events_2030_01')).toEqual(await indexes('usage_events'));
    await expect(sql`insert into usage_events_2030_01 select * from usage_events_2030_01 where false`).resolves.toEqual(
      [],
    );
    const checks = await sql`
      select conname from pg_constraint where conrelid = 'usage_events_2030_01'::regclass and contype = 'c'`;
    expect(checks.map(({ conname }) => conname)).toEqual(['usage_events_decided_within_cycle']);
  });

  test('an event is one row, delivered before, while and after its partition is made', async () => {
    const events = Array.from({ length: 400 }, (_, i) => at(`2030-0${1 + (i % 3)}-15T12:00:00Z`));
    await append(...events.slice(0, 200));
    await Promise.all([
      makePartitions(NOW, sql),
      ...Array.from({ length: 8 }, (_, i) => append(...events.slice(i * 40, i * 40 + 80))),
      makePartitions(NOW, sql),
    ]);
    await append(...events);
    expect(await sql`select count(*)::int as rows, count(distinct id)::int as ids from usage_events`).toEqual([
      { rows: 400, ids: 400 },
    ]);
    expect(await sql`select sum(requests)::int as requests from usage_rollups`).toEqual([{ requests: 400 }]);
    expect(await sql`select reason from dead_letters`).toEqual([]);
    expect(await sql`select 1 from usage_events_default`).toEqual([]);
  });

  test.each([
    [
      "a tenant's events in a period",
      `tenant_id = 'acme' and decided_at >= $1::text::timestamptz and decided_at < $2::text::timestamptz`,
    ],
    [
      'GET /v1/usage',
      `($3::text is null or tenant_id = $3) and decided_at >= coalesce($1::text::timestamptz, '-infinity')
        and decided_at < coalesce($2::text::timestamptz, 'infinity')`,
    ],
    [
      'GET /v1/allocation',
      `($3::text is null or tenant_id = $3) and decided_at >= $1::text::timestamptz and decided_at < $2::text::timestamptz`,
    ],
  ])('%s reads the partitions of its period alone', async (_, where) => {
    await makePartitions(NOW, sql);
    const plan = `explain select sum(tokens) from usage_events where ${where}`;
    const period = ['2030-01-05T00:00:00Z', '2030-02-01T00:00:00Z'];
    const lines = await sql.unsafe(plan, where.includes('$3') ? [...period, 'acme'] : period, { prepare: true });
    const text = lines.map((line) => line['QUERY PLAN']).join('\n');
    expect(text).toContain('usage_events_2030_01');
    expect(text).not.toMatch(/usage_events_(2029|2030_0[23]|default|20(?!30))/);
  });

  test('a keeper makes them at its start, each day, and after a failure', async () => {
    const clock = new TestClock(NOW);
    const keeper = new PartitionKeeper({ sql, keepMonths: undefined, clock, log: silent, everyMs: 20 });
    keeper.start();
    const there = async (table: string) => {
      const [row] = await sql`select to_regclass(${table}) is not null as there`;
      expect(row?.there).toBe(true);
    };
    await eventually(() => there('usage_events_2030_03'));
    clock.set(Date.parse('2030-02-01T00:00:00Z'));
    await eventually(() => there('usage_events_2030_04'));
    await keeper.stop();
  });

  describe('retention', () => {
    const bill = (...events: UsageEvent[]) => sql`
      insert into billed_events (event_id, decided_at, invoice_id)
      select id, decided_at, 'invoice' from usage_events where id in ${sql(events.map(({ id }) => id))}`;

    test('drops a month whose usage is on invoices, with its denials; rollups and invoices stay', async () => {
      await makePartitions(NOW, sql);
      const old = at('2029-06-15T12:00:00Z', { limits: [billed(5)] });
      const rest = [
        at('2029-06-30T23:59:59.999Z', {
          type: 'denied',
          limits: [],
          outcome: { granted: false, reason: 'rate_limited' },
        }),
        at('2029-06-01T00:00:00Z', { type: 'expired', limits: [billed(0)] }),
        at('2029-06-02T00:00:00Z', { type: 'adjusted', limits: [] }),
      ];
      const younger = at('2029-10-01T00:00:00Z');
      await append(old, ...rest, younger);
      await makePartitions(NOW, sql);
      await bill(old, younger);
      expect(await dropOldPartitions(3, NOW, sql)).toMatchObject({ dropped: expect.arrayContaining(['2029-06']) });
      expect(Object.keys(await places())).toEqual([younger.id]);
      expect(await sql`select sum(tokens)::int as tokens from usage_rollups`).toEqual([{ tokens: 6 }]);
      const billedStill = await sql`select event_id from billed_events where event_id in ${sql([old.id, younger.id])}`;
      expect(billedStill).toHaveLength(2);
      expect(await sql`select month from usage_months_dropped where month = '2029-06'`).toHaveLength(1);
    });

    test.each<[what: string, over: Partial<UsageEvent>]>([
      ['bucket tokens', { limits: [billed(5)] }],
      ['tokens given back', { type: 'voided', limits: [billed(-5)] }],
      ['a request that took no token', { limits: [] }],
      ['LLM tokens', { type: 'settled', limits: [billed(0)], usage: { reasoning: 1 } }],
    ])('keeps a whole month while %s in it are on no invoice', async (_, over) => {
      const [unbilled, other] = [at('2029-06-15T12:00:00Z', over), at('2029-06-16T12:00:00Z')];
      await append(unbilled, other);
      await makePartitions(NOW, sql);
      await bill(other);
      expect((await dropOldPartitions(3, NOW, sql)).kept).toEqual(['2029-06']);
      expect(Object.keys(await places())).toHaveLength(2);
      await bill(unbilled);
      expect((await dropOldPartitions(3, NOW, sql)).dropped).toContain('2029-06');
      expect(await places()).toEqual({});
    });

    test('a month is kept for as many whole months as it is told, to the millisecond', async () => {
      await append(at('2029-10-31T23:59:59.999Z', { type: 'expired', limits: [] }));
      await makePartitions(NOW, sql);
      expect((await dropOldPartitions(3, NOW, sql)).dropped).not.toContain('2029-10');
      expect((await dropOldPartitions(3, Date.parse('2030-02-01T00:00:00Z'), sql)).dropped).toContain('2029-10');
    });

    test('what comes late for a month that was dropped is kept, and billed before it goes', async () => {
      await append(at('2029-06-15T12:00:00Z', { type: 'expired', limits: [] }));
      await makePartitions(NOW, sql);
      await dropOldPartitions(3, NOW, sql);
      const late = at('2029-06-15T12:00:01Z');
      await append(late);
      await makePartitions(NOW, sql);
      expect((await dropOldPartitions(3, NOW, sql)).kept).toEqual(['2029-06']);
      expect(await places()).toEqual({ [late.id]: 'usage_events_2029_06' });
    });

    test('is nothing that happens by itself', async () => {
      await append(at('2029-06-15T12:00:00Z', { type: 'expired', limits: [] }));
      const keeper = new PartitionKeeper({
        sql,
        keepMonths: undefined,
        clock: new TestClock(NOW),
        log: silent,
        everyMs: 10,
      });
      keeper.start();
      await eventually(async () => expect(Object.values(await places())).toEqual(['usage_events_2029_06']));
      await new Promise((resolve) => setTimeout(resolve, 60));
      await keeper.stop();
      expect(Object.keys(await places())).toHaveLength(1);
    });
  });
});

test('a report that is in the way is waited for a while, and keeps nobody from writing', async () => {
  const { drop, url } = await createDatabase();
  atTestEnd(drop);
  const { close, sql } = await openDatabase({ databaseUrl: url, dataDir: '/nonexistent', log: silent });
  atTestEnd(close);
  const reader = postgres(url, { max: 1, onnotice: () => {} });
  atTestEnd(() => reader.end());
  await reader`begin`;
  await reader`select * from usage_events`;
  await expect(makePartitions(NOW, sql)).rejects.toThrow('lock timeout');
  const event = at('2030-01-15T12:00:00Z');
  await new Ledger({ sql, terms: { tenants, calendar: new Calendar() }, onCommit: () => {} }).append([
    streamEntry(event),
  ]);
  await reader`rollback`;
  expect(await makePartitions(NOW, sql)).toHaveLength(4);
  const [row] = await sql`select tableoid::regclass::text as place from usage_events where id = ${event.id}`;
  expect(row?.place).toBe('usage_events_2030_01');
});
