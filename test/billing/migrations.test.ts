import { cp, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { getTableConfig, type PgTable } from 'drizzle-orm/pg-core';
import { drizzle } from 'drizzle-orm/postgres-js';
import { migrate } from 'drizzle-orm/postgres-js/migrator';
import postgres, { type Sql } from 'postgres';
import { beforeAll, describe, expect, test } from 'vitest';
import { connectSocket } from '../../billing-worker/database/connect.ts';
import { startEmbeddedPostgres } from '../../billing-worker/database/embedded.ts';
import { isAway, isDataError } from '../../billing-worker/database/errors.ts';
import { type Database, openDatabase } from '../../billing-worker/database/open.ts';
import { packageRoot } from '../../runtime/package-root.ts';
import { apiKeys, auditEvents, deadLetters, droppedMonths, usageEvents, usageRollups } from '../../schemas/tables.ts';
import { Child } from '../helpers/child.ts';
import { freePort } from '../helpers/free-port.ts';
import { createDatabase } from '../helpers/postgres.ts';
import { tempDir } from '../helpers/temp-dir.ts';
import { atTestEnd } from '../helpers/test-end.ts';
import { DATABASES, silent } from './databases.ts';

const TABLES = [usageEvents, usageRollups, droppedMonths, deadLetters, auditEvents, apiKeys];

describe.each(DATABASES)('the tables on $name', ({ open }) => {
  let database: Database;

  beforeAll(async () => {
    database = await open();
  });

  test.each(TABLES.map((table) => [getTableConfig(table).name, table] as const))(
    '%s has the columns that tables.ts describes',
    async (name, table) => {
      const found = await database.sql`
        select attname as name, format_type(atttypid, atttypmod) as type, attnotnull as not_null
        from pg_attribute where attrelid = ${name}::regclass and attnum > 0 order by attname`;
      expect([...found]).toEqual(described(table));
    },
  );

  test('money is exact and instants know their zone: no floating point, no timestamp without one', async () => {
    const columns = await database.sql`
      select table_name, column_name, data_type from information_schema.columns where table_schema = 'public'
      and data_type in ('real', 'double precision', 'timestamp without time zone', 'money')`;
    expect([...columns]).toEqual([]);
  });
});

const described = (table: PgTable) =>
  getTableConfig(table)
    .columns.map((column) => ({
      name: column.name,
      type: column.getSQLType().replace(', ', ','),
      not_null: column.notNull,
    }))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map(({ type, ...rest }) => ({ ...rest, type: type.replace(/^timestamp.*/, 'timestamp with time zone') }));

describe('migrating a server', () => {
  const open = async (url: string) => {
    const database = await openDatabase({ databaseUrl: url, dataDir: '/nonexistent', log: silent });
    atTestEnd(() => database.close());
    return database;
  };

  test('eight workers that start at once migrate once, and all come up', async () => {
    const { drop, url } = await createDatabase();
    atTestEnd(drop);
    const databases = await Promise.all(Array.from({ length: 8 }, () => open(url)));
    const [{ sql: one } = expect.fail()] = databases;
    const applied = await one`select count(*)::int as n from drizzle.__drizzle_migrations`;
    const { entries } = JSON.parse(await readFile(join(packageRoot, 'schemas/migrations/meta/_journal.json'), 'utf8'));
    expect(applied[0]?.n).toBe(entries.length);
    for (const { sql } of databases) expect([...(await sql`select * from usage_events`)]).toEqual([]);
  });

  test('a second worker waits for the first that is still at it', async () => {
    const { drop, url } = await createDatabase();
    atTestEnd(drop);
    const first = postgres(url, { max: 1, onnotice: () => {} });
    await first`select pg_advisory_lock(8182, 1)`;
    let opened = false;
    const second = open(url).then(() => {
      opened = true;
    });
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(opened).toBe(false);
    await first.end();
    await second;
  });

  test('a server that is not there yet is waited for', async () => {
    const { drop, url } = await createDatabase();
    atTestEnd(drop);
    const late = new URL(url);
    late.port = String(await freePort());
    const opening = open(late.href);
    await new Promise((resolve) => setTimeout(resolve, 300));
    const server = createServer((client) => {
      const upstream = connect(Number(new URL(url).port), '127.0.0.1');
      client.pipe(upstream).pipe(client);
      for (const socket of [client, upstream]) socket.on('error', () => {});
    }).listen(Number(late.port), '127.0.0.1');
    atTestEnd(() => server.close());
    const { sql } = await opening;
    expect([...(await sql`select * from usage_events`)]).toEqual([]);
  });

  test('a wrong password or name ends the start at once, with what the server says', async () => {
    const { drop, url } = await createDatabase();
    atTestEnd(drop);
    const wrong = new URL(url);
    wrong.password = 'wrong';
    await expect(open(wrong.href)).rejects.toThrow('password authentication failed');
    await expect(open(`${url}_not_there`)).rejects.toThrow('does not exist');
  });
});

describe('a ledger of before it had partitions', () => {
  /** Rows of seven months, months apart, one of them far ahead; and their rollups, as the worker of then kept them. */
  const FILL = `
    insert into usage_events (
      id, type, decision_id, tenant_id, user_id, model, requests, denied, tokens, input_tokens, cache_read_tokens,
      cache_write_tokens, reasoning_tokens, price_per_token, cost_usd, limits, granted, reason, degraded, cycle_start, cycle_end,
      day, decided_at, at, stream_id, recorded_at, budget_grant
    )
    select 'e' || n, 'settled', 'd' || n, 'tenant-' || n % 3, case when n % 2 = 0 then 'user' end, 'm', 1, 0, n, n,
      case when n % 3 = 0 then n end, case when n % 5 = 0 then 2 * n end, case when n % 7 = 0 then 3 * n end, 0.5, n * 0.5,
      '[{"id": "tenant"}]', true, 'ok', false, start, start + interval '1 month', start::date, decided_at, decided_at, '0-0',
      timestamptz '2026-01-01T00:00:00Z', case when n = 1 then '{"tokens": 1}'::jsonb end
    from (
      select n, decided_at, date_trunc('month', decided_at) as start from (
        select n, case n when 1000 then timestamptz '2999-05-05T00:00:00Z'
          else timestamptz '2025-01-31T23:59:59.999Z' + (n % 7) * interval '31 days' end as decided_at
        from generate_series(1, 1000) as n
      ) as made
    ) as timed;
    insert into usage_rollups
    select tenant_id, cycle_start, cycle_end, day, coalesce(user_id, ''), '', '', 'm', sum(requests), sum(denied), sum(tokens),
      sum(input_tokens), 0, sum(cost_usd)
    from usage_events group by 1, 2, 3, 4, 5`;

  const OLDER_APPEND = `
    insert into usage_rollups (tenant_id, cycle_start, cycle_end, day, user_id, team_id, project_id, model, requests, denied,
      tokens, input_tokens, output_tokens, cost_usd)
    values ('t', now(), now(), now()::date, '', '', '', '', 1, 0, 1, 0, 0, 0)`;

  const rows = (sql: Sql) => sql`select to_jsonb(e) as row from usage_events e order by id`;

  test.each(DATABASES)('is carried over to the last row on $name', async ({ name }) => {
    const { migrated, openBefore } = await before(name);
    await openBefore.unsafe(FILL).simple();
    const [all, rollups] = [await rows(openBefore), await openBefore`select count(*)::int as n from usage_rollups`];
    await openBefore.end();
    const { sql } = await migrated();
    expect([...(await rows(sql))]).toEqual([...all]);
    expect([...(await sql`select count(*)::int as n from usage_rollups`)]).toEqual([...rollups]);
    const [sums] = await sql`
      select sum(tokens)::int as tokens, sum(cache_read_tokens)::int as read, sum(cache_write_tokens)::int as write,
        sum(reasoning_tokens)::int as reasoning from usage_rollups`;
    const sumOf = (every: number, times: number) =>
      times * Array.from({ length: 1_000 }, (_, i) => ((i + 1) % every ? 0 : i + 1)).reduce((sum, n) => sum + n, 0);
    expect(sums).toEqual({ tokens: sumOf(1, 1), read: sumOf(3, 1), write: sumOf(5, 2), reasoning: sumOf(7, 3) });
    const places = await sql`
      select tableoid::regclass::text as place, count(*)::int as n from usage_events group by 1 order by 1`;
    const months = ['2025_01', '2025_03', '2025_04', '2025_05', '2025_06', '2025_07', '2025_08'];
    expect(places.map(({ place }) => place)).toEqual([
      ...months.map((month) => `usage_events_${month}`),
      'usage_events_default',
    ]);
    expect(places.at(-1)?.n).toBe(1);
    // A worker of the version before waits; its events do not become dead letters, nor its rollups wrong.
    const refused = await sql.unsafe(OLDER_APPEND).catch((error) => error);
    expect(refused.message).toBe('this billing worker is older than its database');
    expect([isDataError(refused), isAway(refused)]).toEqual([false, true]);
  });

  /** A database as the migrations before made it, and how the worker of today opens it. */
  async function before(name: string): Promise<{ openBefore: Sql; migrated: () => Promise<Database> }> {
    const migrationsFolder = await migrationsBefore('0006_ledger_partitions');
    if (name === 'PostgreSQL') {
      const { drop, url } = await createDatabase();
      atTestEnd(drop);
      const sql = postgres(url, { max: 1, onnotice: () => {}, connection: { TimeZone: 'UTC' } });
      await migrate(drizzle(sql), { migrationsFolder });
      return { openBefore: sql, migrated: () => closedAtEnd({ databaseUrl: url, dataDir: '/nonexistent' }) };
    }
    const dataDir = await tempDir('data');
    const embedded = await startEmbeddedPostgres(join(dataDir, 'postgres'), silent);
    const sql = connectSocket(embedded.socketPath, silent);
    await migrate(drizzle(sql), { migrationsFolder });
    const migrated = async () => {
      await embedded.close();
      return closedAtEnd({ dataDir });
    };
    return { openBefore: sql, migrated };
  }

  async function closedAtEnd(options: { databaseUrl?: string; dataDir: string }): Promise<Database> {
    const database = await openDatabase({ ...options, log: silent });
    atTestEnd(() => database.close());
    return database;
  }

  async function migrationsBefore(tag: string): Promise<string> {
    const folder = await tempDir('migrations');
    await cp(join(packageRoot, 'schemas/migrations'), folder, { recursive: true });
    const file = join(folder, 'meta/_journal.json');
    const journal: { entries: { tag: string }[] } = JSON.parse(await readFile(file, 'utf8'));
    const entries = journal.entries.slice(
      0,
      journal.entries.findIndex((entry) => entry.tag === tag),
    );
    expect(entries.length).toBeGreaterThan(0);
    await writeFile(file, JSON.stringify({ ...journal, entries }));
    return folder;
  }
});

describe('check-migrations', () => {
  const check = async (project: string) => {
    const child = new Child(process.execPath, {
      args: [join(packageRoot, 'scripts/check-migrations.mjs'), project],
    });
    const { code } = await child.exited;
    return { code, output: child.output.join('\n') };
  };

  /** The project's schemas in a folder of their own, to be changed. */
  async function copyOfProject(): Promise<string> {
    const project = await tempDir('project');
    await mkdir(join(project, 'schemas'));
    await cp(join(packageRoot, 'schemas'), join(project, 'schemas'), { recursive: true });
    await symlink(join(packageRoot, 'node_modules'), join(project, 'node_modules'));
    await cp(join(packageRoot, 'package.json'), join(project, 'package.json'));
    return project;
  }

  test('passes on what is committed', async () => {
    expect(await check(packageRoot)).toEqual({ code: 0, output: expect.stringMatching(/make the tables/) });
  });

  test('fails on a column without a migration, shows it, and says which command mends it', async () => {
    const project = await copyOfProject();
    const file = join(project, 'schemas/tables.ts');
    const text = await readFile(file, 'utf8');
    await writeFile(file, text.replace('run_id: text(),', 'run_id: text(),\n    shoe_size: text(),'));
    const { code, output } = await check(project);
    expect(code).toBe(1);
    expect(output).toContain('ADD COLUMN "shoe_size" text');
    expect(output).toContain('npm run migrations -- --name');
  });

  test('fails on a column that is gone, where drizzle-kit would ask whether another was renamed', async () => {
    const project = await copyOfProject();
    const file = join(project, 'schemas/tables.ts');
    const text = await readFile(file, 'utf8');
    await writeFile(file, text.replace('run_id: text(),', 'shoe_size: text(),'));
    const { code, output } = await check(project);
    expect(code).toBe(1);
    expect(output).toContain('npm run migrations -- --name');
  });

  test('fails on a migration that is older than the one before it', async () => {
    const project = await copyOfProject();
    const file = join(project, 'schemas/migrations/meta/_journal.json');
    const journal = JSON.parse(await readFile(file, 'utf8'));
    const last = journal.entries.at(-1);
    journal.entries.push({ ...last, idx: last.idx + 1, when: last.when - 1, tag: '9999_late' });
    await writeFile(file, JSON.stringify(journal));
    expect(await check(project)).toEqual({ code: 1, output: expect.stringMatching(/9999_late is not later/) });
  });
});
