import { join } from 'node:path';
import { drizzle } from 'drizzle-orm/postgres-js';
import { migrate } from 'drizzle-orm/postgres-js/migrator';
import type { Sql } from 'postgres';
import { packageRoot } from '../../runtime/package-root.ts';

/** Advisory locks of the billing worker are (8182, n): 1 is for migrations. */
const LOCK = [8182, 1] as const;

/**
 * Brings the tables up to date, in one transaction, and then does what is to be done `after`. Of workers that start together one does
 * so and the others wait. `sql` must be a single connection: the lock is held by a session.
 */
export async function migrateTables(sql: Sql, after: () => Promise<void> = async () => {}): Promise<void> {
  await sql`select pg_advisory_lock(${LOCK[0]}, ${LOCK[1]})`;
  try {
    await migrate(drizzle(sql), { migrationsFolder: join(packageRoot, 'schemas', 'migrations') });
    await after();
  } finally {
    await sql`select pg_advisory_unlock(${LOCK[0]}, ${LOCK[1]})`;
  }
}
