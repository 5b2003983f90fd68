import type { Sql } from 'postgres';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Calendar } from '../../billing-worker/ledger/calendar.ts';
import { type Committed, Ledger } from '../../billing-worker/ledger/ledger.ts';
import type { UsageEvent } from '../../schemas/usage-event.ts';
import { rollupDrift } from '../helpers/rollup-drift.ts';
import { DATABASES } from './databases.ts';
import { billed, chunks, shuffled, streamEntry, usageEvent } from './events.ts';
import { tenants } from './tenants.ts';

/** 10,000 events of many tenants, users, models, days and types, with sums that are known without the database. */
const mixed = Array.from({ length: 10_000 }, (_, i) =>
  usageEvent({
    type: (['consumed', 'reserved', 'settled', 'voided', 'denied'] as const)[i % 5] as UsageEvent['type'],
    tenant_id: ['acme', 'berlin', 'weekly', 'unknown'][i % 4] as string,
    limits: i % 5 === 4 ? [billed(0)] : [billed(i % 5 > 1 ? -(i % 7) : i % 11), { ...billed(1_000), billed: false }],
    count: i % 5 === 4 ? 1 + (i % 3) : 1,
    decided_at: Date.parse('2026-01-01T00:00:00Z') + i * 600_000,
    ...(i % 2 && { user_id: `user-${i % 13}` }),
    ...(i % 3 && { team_id: `team-${i % 2}`, model: `model-${i % 4}` }),
    ...(i % 6 === 0 && { candidate: 'cheap' }),
    ...(i % 5 === 2 && { usage: { input: i, output: 2 * i, cache_read: 3 * i, cache_write: i % 5, reasoning: i % 9 } }),
  }),
);
const entries = mixed.map(streamEntry);

const totals = (sql: Sql) => sql`
  select sum(requests)::text as requests, sum(denied)::text as denied, sum(tokens)::text as tokens,
    sum(input_tokens)::text as input, sum(cost_usd)::text as cost from usage_rollups`;

/** The totals of `mixed`, computed in another way: whole numbers in TypeScript, money in units of 10^-12 USD. */
function expectedTotals() {
  const price: Record<string, bigint> = { berlin: 250_000_000_000n, weekly: 1n };
  let [requests, denied, tokens, input, cost] = [0n, 0n, 0n, 0n, 0n];
  for (const event of mixed) {
    const amount = BigInt(event.limits[0]?.amount ?? 0);
    if (event.type === 'consumed' || event.type === 'reserved') requests += 1n;
    if (event.type === 'denied') denied += BigInt(event.count);
    tokens += amount;
    input += BigInt(event.usage?.input ?? 0);
    cost += amount * (price[event.tenant_id] ?? 100_000_000n);
  }
  const [whole, fraction] = [cost / 10n ** 12n, cost % 10n ** 12n];
  const [a, b, c, d] = [requests, denied, tokens, input].map(String);
  return { requests: a, denied: b, tokens: c, input: d, cost: `${whole}.${String(fraction).padStart(12, '0')}` };
}

describe.each(DATABASES)('the ledger on $name', ({ open }) => {
  let sql: Sql;
  let commits: Committed[];
  const ledger = () =>
    new Ledger({
      sql,
      terms: { tenants, calendar: new Calendar() },
      onCommit: (committed) => commits.push(committed),
    });

  beforeAll(async () => {
    ({ sql } = await open());
  });

  beforeEach(async () => {
    commits = [];
    await sql`truncate usage_events, usage_rollups, dead_letters restart identity`;
  });

  test('10,000 events sum up to the last token and the last 10^-12 of a dollar', async () => {
    for (const batch of chunks(entries, 1_000)) await ledger().append(batch);
    expect(await totals(sql)).toEqual([expectedTotals()]);
    expect(await rollupDrift(sql)).toEqual([]);
  });

  test('delivered three times over, shuffled, in batches of another size, each is one row', async () => {
    for (const batch of chunks(shuffled([...entries, ...entries, ...entries], 7), 777)) await ledger().append(batch);
    expect(await sql`select count(*)::int as rows, count(distinct id)::int as ids from usage_events`).toEqual([
      { rows: 10_000, ids: 10_000 },
    ]);
    expect(await totals(sql)).toEqual([expectedTotals()]);
    expect(await rollupDrift(sql)).toEqual([]);
    const counted = commits.flatMap(({ events }) => Object.values(events)).reduce((sum, count) => sum + count, 0);
    expect(counted).toBe(10_000);
  });

  test('two workers on the same entries in opposite orders neither double nor deadlock', async () => {
    for (const batch of chunks(entries.slice(0, 4_000), 400)) {
      await Promise.all([ledger().append(batch), ledger().append([...batch].reverse())]);
    }
    expect(await sql`select count(*)::int as rows from usage_events`).toEqual([{ rows: 4_000 }]);
    expect(await rollupDrift(sql)).toEqual([]);
  });

  test('a row holds what its event says', async () => {
    const event = usageEvent({
      type: 'settled',
      request_id: 'req-1',
      run_id: 'run-1',
      tenant_id: 'berlin',
      user_id: 'alice',
      team_id: 'engineering',
      project_id: 'p1',
      department_id: 'd1',
      agent_id: 'a1',
      channel: 'slack',
      credential_id: 'key-1',
      source_ip: '192.0.2.7',
      provider: 'anthropic',
      model: 'anthropic/claude-sonnet-4-5',
      candidate: 'anthropic/claude-3-haiku',
      limits: [billed(-300), { ...billed(5), unit: 'requests' }, { ...billed(7), billed: false }, billed(1)],
      usage: { input: 10, output: 20, cache_read: 30, cache_write: 40, reasoning: 50 },
      grant: { tokens: -500, expires_at: Date.parse('2026-03-01T00:00:00Z'), reason: 'a release', by: 'admin' },
      outcome: { granted: true, reason: 'routed_cheaper' },
      policy_revision: 'r1',
      degraded: true,
      decided_at: Date.parse('2026-02-27T22:59:59.999Z'),
      at: Date.parse('2026-02-27T23:00:07.001Z'),
    });
    const entry = streamEntry(event);
    await ledger().append([entry]);
    const [found = {}] = await sql`
      select *, limits::text as limits, budget_grant::text as budget_grant from usage_events`;
    const { recorded_at, ...row } = found as Record<string, string>;
    const { v: _, grant, limits, outcome, usage: __, count: ___, ...ids } = event;
    const [foundLimits, foundGrant] = [row.limits, row.budget_grant].map((text) => JSON.parse(text as string));
    expect({ ...row, limits: foundLimits, budget_grant: foundGrant }).toEqual({
      ...ids,
      requests: '0',
      denied: '0',
      tokens: '-299',
      input_tokens: '10',
      output_tokens: '20',
      cache_read_tokens: '30',
      cache_write_tokens: '40',
      reasoning_tokens: '50',
      price_per_token: '0.250000000000',
      cost_usd: '-74.750000000000',
      limits,
      budget_grant: grant,
      granted: outcome.granted,
      reason: outcome.reason,
      cycle_start: '2026-01-30 23:00:00+00',
      cycle_end: '2026-02-27 23:00:00+00',
      day: '2026-02-27',
      decided_at: '2026-02-27 22:59:59.999+00',
      at: '2026-02-27 23:00:07.001+00',
      stream_id: entry.id,
    });
    expect(Math.abs(Date.parse(recorded_at as string) - Date.now())).toBeLessThan(60_000);
  });

  test('a boost of a budget is a row, once, and changes no sum', async () => {
    const spent = usageEvent({ user_id: 'alice' });
    await ledger().append([streamEntry(spent)]);
    const before = await totals(sql);
    const adjusted = usageEvent({
      type: 'adjusted',
      user_id: 'alice',
      limits: [],
      grant: { tokens: 500, expires_at: Date.parse('2026-02-01T00:00:00Z'), reason: 'a release', by: 'admin' },
    });
    const revoked = {
      ...adjusted,
      id: `${adjusted.decision_id}:revoked:adjusted`,
      grant: { ...adjusted.grant, tokens: -500 },
    } as UsageEvent;
    for (let delivered = 0; delivered < 2; delivered++) {
      await ledger().append([streamEntry(adjusted), streamEntry(revoked)]);
    }
    const rows = await sql`
      select id, requests, denied, tokens, cost_usd::text as cost, limits::text as limits, granted, reason,
        budget_grant::text as budget_grant
      from usage_events where type = 'adjusted' order by id`;
    const row = {
      requests: '0',
      denied: '0',
      tokens: '0',
      cost: '0.000000000000',
      limits: '[]',
      granted: true,
      reason: 'ok',
    };
    const kept = rows.map((each) => ({ ...each, budget_grant: JSON.parse(each.budget_grant) }));
    expect(kept).toEqual([adjusted, revoked].map(({ grant, id }) => ({ id, budget_grant: grant, ...row })));
    expect(await totals(sql)).toEqual(before);
    expect(await rollupDrift(sql)).toEqual([]);
    expect(await sql`select * from dead_letters`).toEqual([]);
  });

  describe('what cannot become a row', () => {
    const text = (change: object) => JSON.stringify({ ...usageEvent(), ...change });
    const POISON: [name: string, text: string | undefined, reason: RegExp][] = [
      ['no field e', undefined, /no field "e"/],
      ['bad JSON', '{"v":1,', /not JSON/],
      ['a NUL in the raw text', 'a\u0000b', /not JSON/],
      ['a missing field', text({ tenant_id: undefined }), /tenant_id/],
      ['a newer version', text({ v: 2 }), /version 2 is newer than 1/],
      ['no version', text({ v: undefined }), /→ at v/],
      ['a NUL', text({ user_id: 'a\u0000b' }), /must not contain NUL/],
      ['a lone surrogate, which only PostgreSQL refuses', text({ user_id: '\ud800' }), /surrogate/i],
      ['a sum above 2^63', text({ limits: Array(1_025).fill(billed(Number.MAX_SAFE_INTEGER)) }), /out of range/],
      ['a key too long for an index', text({ tenant_id: randomText(9_000) }), /index row/],
      ['a number beyond 2^53', text({}).replace('"amount":1,', '"amount":9007199254740993,'), /amount/],
      ['an instant that no calendar has', text({ decided_at: Number.MAX_SAFE_INTEGER }), /before the year 10000/],
      ['something that is no object', '[]', /Invalid input/],
    ];

    test.each(POISON)('%s is put aside with its reason, and the rest goes on', async (_, poison, reason) => {
      const good = entries.slice(0, 9);
      await ledger().append([...good.slice(0, 4), streamEntry(poison), ...good.slice(4)]);
      expect(await sql`select count(*)::int as rows from usage_events`).toEqual([{ rows: 9 }]);
      expect(await rollupDrift(sql)).toEqual([]);
      const letters = await sql`select stream, raw, reason from dead_letters`;
      expect(letters).toHaveLength(1);
      expect(letters[0]?.stream).toBe('ocr:{p0}:usage');
      expect(letters[0]?.raw).toBe(poison?.replace('\u0000', '\\u0000') ?? null);
      expect(letters[0]?.reason).toMatch(reason);
    });

    test('many among many are each found, once, though delivered twice', async () => {
      const poison = POISON.map(([, text]) => streamEntry(text));
      const batch = shuffled([...entries.slice(0, 1_000), ...poison], 3);
      await ledger().append(batch);
      await ledger().append(batch);
      expect(await sql`select count(*)::int as rows from usage_events`).toEqual([{ rows: 1_000 }]);
      expect(await sql`select count(*)::int as rows from dead_letters`).toEqual([{ rows: POISON.length }]);
      expect(commits.reduce((sum, { deadLetters }) => sum + deadLetters, 0)).toBe(POISON.length);
      expect(await rollupDrift(sql)).toEqual([]);
    });

    test('an id that comes again after a loss of the stream, with other text, is kept beside the first', async () => {
      const first = streamEntry('{"one"');
      await ledger().append([first, { ...first, event: '{"two"' }]);
      expect(await sql`select raw from dead_letters order by id`).toEqual([{ raw: '{"one"' }, { raw: '{"two"' }]);
    });
  });
});

/** Text that does not shrink when PostgreSQL compresses it. */
function randomText(length: number): string {
  let state = 1;
  return Array.from({ length }, () => {
    state = (state * 48_271) % 2_147_483_647;
    return String.fromCharCode(0x4e00 + (state % 20_000));
  }).join('');
}
