import { pino } from 'pino';
import postgres from 'postgres';
import { expect, onTestFinished, test } from 'vitest';
import { openDatabase } from '../../billing-worker/database/open.ts';
import { createDatabase } from '../helpers/postgres.ts';

async function warningsOf(databaseUrl: string): Promise<string[]> {
  const said: { level: number; msg: string }[] = [];
  const log = pino({ base: null }, { write: (line) => void said.push(JSON.parse(line)) });
  const { close } = await openDatabase({ databaseUrl, dataDir: '/nonexistent', log });
  await close();
  return said.filter(({ level }) => level === 40).map(({ msg }) => msg);
}

test('a server that may forget what it has committed is named at the start, with what it forgets', async () => {
  const { drop, url } = await createDatabase();
  onTestFinished(drop);
  const setting = /PostgreSQL has synchronous_commit off: .* usage that it loses is billed to nobody/;
  expect(await warningsOf(url)).not.toContainEqual(expect.stringMatching(setting));
  const sql = postgres(url, { max: 1 });
  await sql.unsafe(`ALTER DATABASE ${new URL(url).pathname.slice(1)} SET synchronous_commit = off`);
  await sql.end();
  expect(await warningsOf(url)).toContainEqual(expect.stringMatching(setting));
});
