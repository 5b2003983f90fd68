import type { PostgresJsDatabase } from 'drizzle-orm/postgres-js';
import type { Sql } from 'postgres';

/** A PostgreSQL that is open and migrated: a server or the embedded one, used in the same way. */
export interface Database {
  db: PostgresJsDatabase;
  sql: Sql;
  close(): Promise<void>;
}
