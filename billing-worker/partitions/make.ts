import type { Sql } from 'postgres';
import { type Month, monthAt, monthNamed } from './months.ts';

/** Ahead of today, for clocks that differ and a worker that is away for a while. */
const MONTHS_AHEAD = 2;

/**
 * Makes the partitions of the month before `now` to two months after, and of each month before those that has rows in the default
 * partition, which are moved. What is further ahead stays in the default partition until its time comes. Any number of workers may
 * do it at once. Resolves with the names of the months that were made by this call.
 */
export async function makePartitions(now: number, sql: Sql): Promise<string[]> {
  const usual = Array.from({ length: MONTHS_AHEAD + 2 }, (_, i) => monthAt(now, i - 1));
  const strayed = await strayedMonths(monthAt(now, MONTHS_AHEAD + 1).from, sql);
  const wanted = new Map([...usual, ...strayed].map((month) => [month.name, month]));
  const made: string[] = [];
  for (const month of wanted.values()) if (await make(month, sql)) made.push(month.name);
  return made;
}

/** Of rows in the default partition. Each row is looked at: there are few, as they are moved each day. */
async function strayedMonths(before: string, sql: Sql): Promise<Month[]> {
  const found = await sql`
    select distinct to_char(decided_at at time zone 'UTC', 'YYYY-MM') as name
    from usage_events_default where decided_at < ${before}::text::timestamptz`;
  return found.flatMap(({ name }) => monthNamed(name) ?? []);
}

async function make(month: Month, sql: Sql): Promise<boolean> {
  const [there] = await sql`select to_regclass(${month.table}) is not null as there`;
  if (there?.there) return false;
  await sql.unsafe(makeSql(month)).simple();
  return true;
}

/**
 * One statement, so one transaction, as everywhere here. The table is made beside the ledger and attached: made as a partition it would
 * keep readers out as well. Writers wait from before the first row is moved until it is attached, so none of them writes a row of
 * this month to the default partition meanwhile; whoever finds a report in the way gives up after two seconds, and is tried again.
 */
const makeSql = ({ from, table, to }: Month) => `
do $$
begin
  perform set_config('lock_timeout', '2s', true);
  lock table only usage_events in share row exclusive mode;
  if to_regclass('${table}') is not null then return; end if;
  create table ${table} (like usage_events including all);
  with moved as (
    delete from usage_events_default where decided_at >= '${from}' and decided_at < '${to}' returning *
  )
  insert into ${table} select * from moved;
  alter table usage_events attach partition ${table} for values from ('${from}') to ('${to}');
end
$$`;
