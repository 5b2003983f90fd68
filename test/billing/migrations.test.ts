import { cp, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { getTableConfig, type PgTable } from 'drizzle-orm/pg-core';
import postgres from 'postgres';
import { beforeAll, describe, expect, test } from 'vitest';
import { type Database, openDatabase } from '../../billing-worker/database/open.ts';
import { packageRoot } from '../../runtime/package-root.ts';
import { apiKeys, auditEvents, deadLetters, usageEvents, usageRollups } from '../../schemas/tables.ts';
import { Child } from '../helpers/child.ts';
import { freePort } from '../helpers/free-port.ts';
import { createDatabase } from '../helpers/postgres.ts';
import { tempDir } from '../helpers/temp-dir.ts';
import { atTestEnd } from '../helpers/test-end.ts';
import { DATABASES, silent } from './databases.ts';

const TABLES = [usageEvents, usageRollups, deadLetters, auditEvents, apiKeys];

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
