import { randomUUID } from 'node:crypto';
import postgres from 'postgres';
import { postgresUrl } from './postgres-server.ts';
import { sharedPostgres } from './shared-postgres.ts';

export interface TestDatabase {
  /** As superuser. */
  url: string;
  /** Also while clients are connected. */
  drop(): Promise<void>;
}

/** A fresh database of its own in the real PostgreSQL that all test files of a run share. */
export async function createDatabase(): Promise<TestDatabase> {
  const server = await sharedPostgres();
  const name = `test_${randomUUID().replaceAll('-', '')}`;
  const administer = async (statement: string) => {
    const sql = postgres(postgresUrl(server, 'postgres'), { max: 1, onnotice: () => undefined });
    try {
      await sql.unsafe(statement);
    } finally {
      await sql.end();
    }
  };
  await administer(`CREATE DATABASE ${name}`);
  return { url: postgresUrl(server, name), drop: () => administer(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`) };
}
