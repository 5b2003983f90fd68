import { join } from 'node:path';
import { drizzle, type PostgresJsDatabase } from 'drizzle-orm/postgres-js';
import type { Sql } from 'postgres';
import type { Log } from '../../runtime/log.ts';
import { retry } from '../retry.ts';
import { connectServer, connectSocket } from './connect.ts';
import { tellDurability } from './durability.ts';
import { startEmbeddedPostgres } from './embedded.ts';
import { isAway } from './errors.ts';
import { grantToWorker } from './grants.ts';
import { migrateTables } from './migrate.ts';

/** The owner is needed at the start and once a day. */
const OWNER_IDLE_S = 60;

/** A PostgreSQL that is open and migrated: a server or the embedded one, used in the same way. */
export interface Database {
  db: PostgresJsDatabase;
  sql: Sql;
  /** As who owns the tables, and may make and drop partitions; the same as `sql` where there is one role for all. */
  owner: Sql;
  close(): Promise<void>;
}

export interface OpenOptions {
  /** A server's URL; without one the embedded PostgreSQL keeps its files in `<dataDir>/postgres`. */
  databaseUrl?: string | undefined;
  /** Of the role that owns the tables, where that of `databaseUrl` may not change what is final. */
  ownerUrl?: string | undefined;
  dataDir: string;
  log: Log;
}

/**
 * Opens the database and brings its tables up to date. A server that is away is waited for; one that refuses (wrong
 * password, no such database) throws its error.
 */
export function openDatabase({ databaseUrl, dataDir, log, ownerUrl }: OpenOptions): Promise<Database> {
  return databaseUrl ? openServer(databaseUrl, ownerUrl, log) : openEmbedded(join(dataDir, 'postgres'), log);
}

async function openServer(url: string, ownerUrl: string | undefined, log: Log): Promise<Database> {
  const sql = connectServer(url, { log });
  // A migration may take longer than a batch ever should.
  const migrating = connectServer(ownerUrl ?? url, { log, max: 1, statementTimeoutMs: 0 });
  const grant = ownerUrl ? () => grantToWorker(sql, migrating) : undefined;
  try {
    await retry(() => migrateTables(migrating, grant), { what: 'the database', log, retryable: isAway });
    await retry(() => tellDurability(sql, log), { what: 'the database', log, retryable: isAway });
  } catch (error) {
    await sql.end({ timeout: 1 });
    throw error;
  } finally {
    await migrating.end({ timeout: 1 });
  }
  if (!ownerUrl) return handle({ sql, owner: sql }, async () => {});
  const owner = connectServer(ownerUrl, { log, max: 1, idleS: OWNER_IDLE_S });
  return handle({ sql, owner }, () => owner.end({ timeout: 5 }));
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
  return handle({ sql, owner: sql }, () => embedded.close());
}

function handle({ owner, sql }: Pick<Database, 'owner' | 'sql'>, close: () => Promise<void>): Database {
  return {
    db: drizzle(sql),
    sql,
    owner,
    close: async () => {
      await sql.end({ timeout: 5 });
      await close();
    },
  };
}
