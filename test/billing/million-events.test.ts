import type { Sql } from 'postgres';
import { describe, expect, test } from 'vitest';
import { type Database, openDatabase } from '../../billing-worker/database/open.ts';
import { Calendar } from '../../billing-worker/ledger/calendar.ts';
import { Ledger } from '../../billing-worker/ledger/ledger.ts';
import { makePartitions } from '../../billing-worker/partitions/make.ts';
import { scaledDecimal } from '../../schemas/amounts.ts';
import type { StreamEntry } from '../../schemas/usage-stream.ts';
import { fullLength } from '../helpers/full-length.ts';
import { createDatabase } from '../helpers/postgres.ts';
import { rollupDrift } from '../helpers/rollup-drift.ts';
import { tempDir } from '../helpers/temp-dir.ts';
import { atTestEnd } from '../helpers/test-end.ts';
import { POISONS, UsageGenerator } from '../helpers/usage-generator.ts';
import { silent } from './databases.ts';

const BATCH = 1_000;

const SIZES = [
  {
    name: 'PostgreSQL',
    events: fullLength ? 1_000_000 : 20_000,
    tenants: 500,
    databaseUrl: async () => {
      const { drop, url } = await createDatabase();
      atTestEnd(drop);
      return url;
    },
  },
  { name: 'PGlite', events: fullLength ? 20_000 : 2_000, tenants: 50, databaseUrl: async () => undefined },
];

describe.each(SIZES)('$events events of three months on $name', ({ databaseUrl, events, tenants }) => {
  test('delivered out of order, some twice or late, with poison, to two workers: each once, and sums to the last token', {
    timeout: fullLength ? 1_200_000 : 120_000,
  }, async () => {
    const usage = new UsageGenerator({ seed: 20_260_101, events, tenants, months: 3 });
    const url = await databaseUrl();
    const [one, other] = await twoWorkers(url);
    // The usage is of long ago for the worker: its first rows are in the default partition until it looks for such.
    const halfway = Math.floor(events / 2 / BATCH) * BATCH;
    await ingest(usage.onTime(), usage, [one.sql, other.sql], async (given) => {
      if (given === halfway) await makePartitions(usage.to, other.sql);
    });
    await ingest(usage.late(), usage, [one.sql, other.sql]);
    await makePartitions(usage.to, one.sql);

    const expected = totalsOf(usage);
    expect(await totals(one.sql, 'usage_events')).toEqual(expected);
    expect(await totals(one.sql, 'usage_rollups')).toEqual(expected);
    expect(await rollupDrift(one.sql)).toEqual([]);
    expect([
      ...(await one.sql`select count(*)::int as rows, count(distinct id)::int as ids from usage_events`),
    ]).toEqual([{ rows: events, ids: events }]);
    expect([...(await one.sql`select 1 from usage_events_default`)]).toEqual([]);
    await expectPoison(one.sql, usage.poison);
  });
});

/** Of one process each on a server; PGlite is in one process, so there they share its one session. */
async function twoWorkers(databaseUrl: string | undefined): Promise<[Database, Database]> {
  const dataDir = databaseUrl ? '/nonexistent' : await tempDir('data');
  const open = async () => {
    const database = await openDatabase({ databaseUrl, dataDir, log: silent });
    atTestEnd(() => database.close());
    return database;
  };
  const first = await open();
  return [first, databaseUrl ? await open() : first];
}

/** Each worker takes a batch when it is done with its last one; `onBatch` is told how many were given out before it. */
async function ingest(
  deliveries: Iterable<StreamEntry>,
  { tenants }: UsageGenerator,
  workers: Sql[],
  onBatch: (given: number) => Promise<void> = async () => {},
): Promise<void> {
  const rest = deliveries[Symbol.iterator]();
  let given = 0;
  const take = () => {
    const batch: StreamEntry[] = [];
    for (let next = rest.next(); !next.done; next = rest.next()) {
      batch.push(next.value);
      if (batch.length === BATCH) break;
    }
    return batch;
  };
  const work = async (sql: Sql) => {
    const ledger = new Ledger({ sql, terms: { tenants, calendar: new Calendar() }, onCommit: () => {} });
    for (let batch = take(); batch.length; batch = take()) {
      const before = given;
      given += batch.length;
      await onBatch(before);
      await ledger.append(batch);
    }
  };
  await Promise.all(workers.map(work));
}

const totals = async (sql: Sql, table: string) => {
  const [row] = await sql.unsafe(`
    select sum(requests)::text as requests, sum(denied)::text as denied, sum(tokens)::text as tokens, sum(input_tokens)::text as input,
      sum(output_tokens)::text as output, sum(cache_read_tokens)::text as cache_read,
      sum(cache_write_tokens)::text as cache_write, sum(reasoning_tokens)::text as reasoning,
      trim_scale(sum(cost_usd))::text as cost from ${table}`);
  return row;
};

/** The same sums without a database: whole numbers, money in 10^-12 USD. */
function totalsOf(usage: UsageGenerator) {
  const { defaults, tenants } = usage.tenants;
  const sums = {
    requests: 0n,
    denied: 0n,
    tokens: 0n,
    input: 0n,
    output: 0n,
    cache_read: 0n,
    cache_write: 0n,
    reasoning: 0n,
  };
  let cost = 0n;
  for (let index = 0; index < usage.events; index++) {
    const { count, limits, tenant_id, type, usage: used = {} } = usage.event(index);
    const tokens = BigInt(limits.find(({ billed }) => billed)?.amount ?? 0);
    if (type === 'consumed' || type === 'reserved') sums.requests += 1n;
    if (type === 'denied') sums.denied += BigInt(count);
    sums.tokens += tokens;
    for (const kind of ['input', 'output', 'cache_read', 'cache_write', 'reasoning'] as const) {
      sums[kind] += BigInt(used[kind] ?? 0);
    }
    cost += tokens * scaledDecimal(tenants[tenant_id]?.price_per_token ?? defaults.price_per_token);
  }
  return {
    ...Object.fromEntries(Object.entries(sums).map(([name, sum]) => [name, String(sum)])),
    cost: decimal(cost),
  };
}

const decimal = (scaled: bigint) =>
  `${scaled / 10n ** 12n}.${String(scaled % 10n ** 12n).padStart(12, '0')}`.replace(/\.?0+$/, '');

/** All of it, each once, with a reason that says what is wrong with it. */
async function expectPoison(sql: Sql, poison: number): Promise<void> {
  const letters = await sql`select stream_id, reason from dead_letters`;
  expect(new Set(letters.map(({ stream_id }) => stream_id)).size).toBe(poison);
  expect(letters).toHaveLength(poison);
  for (const { reason, stream_id } of letters) {
    const kind = Number(stream_id.split('-')[1]) % POISONS.length;
    expect(reason).toMatch(POISONS[kind]?.reason ?? expect.fail());
  }
}
