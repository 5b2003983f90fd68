import postgres from 'postgres';
import { expect, test } from 'vitest';
import { createDatabase } from './postgres.ts';
import { sharedPostgres } from './shared-postgres.ts';

test('databases of one real server are apart from each other, and go when dropped', async () => {
  const [one, two] = await Promise.all([createDatabase(), createDatabase()]);
  const first = postgres(one.url, { max: 1 });
  const second = postgres(two.url, { max: 1 });
  const [row] = await first<{ server_version: string }[]>`show server_version`;
  expect(Number.parseInt(row?.server_version ?? '', 10)).toBeGreaterThanOrEqual(15);
  await first`create table here (n int)`;
  await expect(second`select * from here`).rejects.toThrow('does not exist');
  await one.drop();
  await expect(first`select 1`).rejects.toThrow();
  expect(await second`select 1 as n`).toEqual([{ n: 1 }]);
  await Promise.all([first.end(), second.end()]);
  await expect(postgres(one.url)`select 1`).rejects.toThrow('does not exist');
  await two.drop();
});

test('all ask the same server, also at once', async () => {
  const servers = await Promise.all([sharedPostgres(), sharedPostgres(), sharedPostgres()]);
  expect(new Set(servers.map(({ pid }) => pid)).size).toBe(1);
});
