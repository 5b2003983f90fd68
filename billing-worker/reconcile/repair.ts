import type { Sql } from 'postgres';
import { v7 as uuidv7 } from 'uuid';
import type { Clock } from '../../runtime/clock.ts';
import { isConflict } from '../database/errors.ts';
import { type Actor, auditedSql } from '../invoices/audit-sql.ts';
import { instant } from '../invoices/scope.ts';
import { COMPARED, KEY_LIST, SUM_COLUMNS, SUM_LIST } from './rollups.ts';

/** A worker that goes on writing changes rollups meanwhile: then all of it is tried anew. */
const TRIES = 50;

const unchanged = SUM_COLUMNS.map((column) => `rollup.${column} = wrong.rollup_${column}`).join(' and ');
const sameKey = KEY_LIST.split(', ')
  .map((key) => `rollup.${key} = wrong.${key}`)
  .join(' and ');

/**
 * Makes the wrong rollups what the ledger sums up to. Each is changed only if it is still what it was when it was compared, else
 * nothing is: usage that is written meanwhile is neither lost nor counted twice. In: $1 and $2 as in `COMPARED`, $3 the id of
 * the audit entry, $4 who asked for it, $5 from where, $6 the cycle, $7 when.
 */
const REPAIR_SQL = `
with ${COMPARED}, changed as (
  update usage_rollups rollup set ${SUM_COLUMNS.map((column) => `${column} = wrong.ledger_${column}`).join(', ')}
  from wrong where wrong.in_ledger and wrong.in_rollups and ${sameKey} and ${unchanged}
  returning 1
), added as (
  insert into usage_rollups (${KEY_LIST}, ${SUM_LIST})
  select ${KEY_LIST}, ${SUM_COLUMNS.map((column) => `ledger_${column}`).join(', ')} from wrong where not in_rollups
  on conflict do nothing
  returning 1
), removed as (
  delete from usage_rollups rollup using wrong where not wrong.in_ledger and ${sameKey} and ${unchanged}
  returning 1
), total as (
  select (select count(*) from changed) as changed, (select count(*) from added) as added,
    (select count(*) from removed) as removed, (select count(*) from wrong) as wrong
), audited as (${auditedSql({
  action: 'billing.repaired',
  id: '$3::text',
  actor: '$4::text',
  sourceIp: '$5::text',
  tenantId: '$1',
  target: `'usage_rollups ' || $6::text`,
  reason: `changed || ' changed, ' || added || ' added, ' || removed || ' removed'`,
  at: '$7::text::timestamptz',
  from: 'total where wrong > 0',
})})
select require(changed + added + removed = wrong, 'the usage has changed') as ok, changed::int, added::int, removed::int from total`;

const COUNT_SQL = `
with ${COMPARED}
select count(*) filter (where in_ledger and in_rollups)::int as changed, count(*) filter (where not in_rollups)::int as added,
  count(*) filter (where not in_ledger)::int as removed
from wrong`;

export interface Repaired {
  changed: number;
  added: number;
  removed: number;
}

export interface Repair extends Actor {
  tenantId: string;
  /** The beginning of the cycle, RFC 3339. */
  cycleStart: string;
  dryRun: boolean;
}

/** Builds the rollups of a tenant's cycle anew from the ledger, and says how many were wrong. */
export async function repairRollups(
  { by, cycleStart, dryRun, sourceIp, tenantId }: Repair,
  { clock, sql }: { sql: Sql; clock: Clock },
): Promise<Repaired> {
  for (let tries = 1; ; tries++) {
    const now = clock.now();
    const audit = [uuidv7({ msecs: now }), by, sourceIp ?? null, cycleStart, instant(now)];
    try {
      const [row] = dryRun
        ? await sql.unsafe(COUNT_SQL, [tenantId, cycleStart], { prepare: true })
        : await sql.unsafe(REPAIR_SQL, [tenantId, cycleStart, ...audit], { prepare: true });
      return { changed: row?.changed, added: row?.added, removed: row?.removed };
    } catch (error) {
      if (!isConflict(error) || tries === TRIES) throw error;
    }
  }
}
