import { getTableName, is } from 'drizzle-orm';
import { PgTable } from 'drizzle-orm/pg-core';
import type { Sql } from 'postgres';
import { ConfigError } from '../../runtime/config/config-error.ts';
import * as tables from '../../schemas/tables.ts';

/** What the worker changes, and how. Whatever is not named here it may read and add to, and never change. */
const CHANGED = new Map<PgTable, string>([
  [tables.usageRollups, 'update, delete'],
  [tables.deadLetters, 'update'],
  [tables.apiKeys, 'update'],
  [tables.heldEvents, 'delete'],
  [tables.invoiceNumbers, 'update'],
  [tables.invoiceDeliveries, 'update'],
  [tables.pageSessions, 'delete'],
  [tables.pageLinks, 'update, delete'],
]);
/** Written by the owner alone, who keeps the partitions. */
const READ = new Set<PgTable>([tables.droppedMonths]);

/**
 * Gives the role that `worker` connects as what the billing worker needs, and takes away whatever else it was given on these tables.
 * Partitions are reached through their table, so they need nothing. To be called by one owner at a time, after the migrations. Throws
 * a `ConfigError` if the role could still change what is final.
 */
export async function grantToWorker(worker: Sql, owner: Sql): Promise<void> {
  const who = 'select current_user::text as role, current_database()::text as database';
  const [[asked], [owning]] = await Promise.all([worker.unsafe(who), owner.unsafe(who)]);
  if (asked?.database !== owning?.database) {
    throw misconfigured(`is of the database ${owning?.database}, and DATABASE_URL of ${asked?.database}`);
  }
  const role = `"${asked?.role.replaceAll('"', '""')}"`;
  // One message, so one transaction: a worker that runs sees the grants of before, or these.
  await owner.unsafe(grantsTo(role).join(';\n')).simple();
  const [found] = await owner`
    select pg_has_role(${asked?.role}, relowner, 'member')
      or has_table_privilege(${asked?.role}, oid, 'update, delete, truncate, trigger') as too_much
    from pg_class where oid = 'invoices'::regclass`;
  if (found?.too_much) {
    throw misconfigured(
      `does not help: the role of DATABASE_URL, ${asked?.role}, is a superuser or has the owner's rights`,
    );
  }
}

function grantsTo(role: string): string[] {
  const ours = Object.values(tables).filter((value) => is(value, PgTable));
  return [
    `grant usage on schema public to ${role}`,
    `grant execute on function "require"(boolean, text) to ${role}`,
    ...ours.flatMap((table) => {
      const name = `"${getTableName(table)}"`;
      const rights = READ.has(table)
        ? ['select']
        : ['select', 'insert', ...(CHANGED.has(table) ? [CHANGED.get(table)] : [])];
      return [`revoke all on ${name} from ${role}`, `grant ${rights.join(', ')} on ${name} to ${role}`];
    }),
  ];
}

const misconfigured = (problem: string) =>
  new ConfigError([`environment: DATABASE_OWNER_URL ${problem}; docs/operators-guide.md says how the two are set up`]);
