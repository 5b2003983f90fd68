import type { Sql } from 'postgres';
import type { Log } from '../../runtime/log.ts';

/**
 * What each setting loses while it is off. An event leaves Redis when its COMMIT is answered, so what PostgreSQL forgets after that is
 * billed to nobody. https://www.postgresql.org/docs/current/runtime-config-wal.html
 */
const LOSES: Record<string, string> = {
  fsync: 'a crash of its machine may lose what is committed, or all of the ledger',
  full_page_writes: 'a crash of its machine may leave torn pages, unless its file system writes whole ones',
  synchronous_commit: 'a crash may lose what was committed in the last second',
};

/** Says in the log which settings of the server, as this role has them, let it forget what it has committed. Changes nothing. */
export async function tellDurability(sql: Sql, log: Log): Promise<void> {
  const rows = await sql<{ name: string }[]>`
    select name from pg_settings where name in ${sql(Object.keys(LOSES))} and setting = 'off'`;
  for (const { name } of rows)
    log.warn(`PostgreSQL has ${name} off: ${LOSES[name]}; usage that it loses is billed to nobody`);
}
