import { join } from 'node:path';
import { drizzle, type PostgresJsDatabase } from 'drizzle-orm/postgres-js';
import type { Sql } from 'postgres';
import type { Log } from '../../runtime/log.ts';
import { retry } from '../retry.ts';
import { connectServer, connectSocket } from './connect.ts';
import { startEmbeddedPostgres } from './embedded.ts';
import { isAway } from './errors.ts';
import { migrateTables } from './migrate.ts';

/** A PostgreSQL that is open and migrated: a server or the embedded one, used in the same way. */
export interface Database {
  db: PostgresJsDatabase;
  sql: Sql;
  close(): Promise<void>;
}

export interface OpenOptions {
  /** A server's URL; without one the embedded PostgreSQL keeps its files in `<dataDir>/postgres`. */
  databaseUrl?: string | undefined;
  dataDir: string;
  log: Log;
}

/**
 * Opens the database and brings its tables up to date. A server that is away is waited for; one that refuses (wrong
 * password, no such database) throws its error.
 */
export function openDatabase({ databaseUrl, dataDir, log }: OpenOptions): Promise<Database> {
  return databaseUrl ? openServer(databaseUrl, log) : openEmbedded(join(dataDir, 'postgres'), log);
}

async function openServer(url: string, log: Log): Promise<Database> {
  // A migration may take longer than a batch ever should.
  const own = connectServer(url, { log, max: 1, statementTimeoutMs: 0 });
  try {
    await retry(() => migrateTables(own), { what: 'the database', log, retryable: isAway });
  } finally {
    await own.end({ timeout: 1 });
  }
  return handle(connectServer(url, { log }), async () => {});
}

async function openEmbedded(folder: string, log: Log): Promise<Database> {
  const embedded = await startEmbeddedPostgres(folder, log);
  const sql = connectSocket(embedded.socketPath, log);
  try {
    await migrateTables(sql);
  } catch (error) {
    await sql.end({ timeout: 1 });
    await embedded.close();
    throw error;
  }
  return handle(sql, () => embedded.close());
}

function handle(sql: Sql, close: () => Promise<void>): Database {
  return {
    db: drizzle(sql),
    sql,
    close: async () => {
      await sql.end({ timeout: 5 });
      await close();
    },
  };
}
