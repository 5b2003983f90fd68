import type { Sql } from 'postgres';
import { type Month, monthAt, monthNamed } from './months.ts';

const DAY_MS = 86_400_000;

export interface Dropped {
  /** Months that are gone, with all their events. */
  dropped: string[];
  /** Months that are old enough and stay, because an event in them bills something and is on no invoice. */
  kept: string[];
}

/** `month` is one of the ledger, a whole partition, that ended at least so many months before the one that `now` is in. */
export async function dropOldPartitions(keepMonths: number, now: number, sql: Sql): Promise<Dropped> {
  const limit = monthAt(now, -keepMonths).from;
  const result: Dropped = { dropped: [], kept: [] };
  for (const month of await months(sql)) {
    if (month.to > limit) continue;
    (await drop(month, sql)) ? result.dropped.push(month.name) : result.kept.push(month.name);
  }
  return result;
}

/** All partitions but the default one. */
async function months(sql: Sql): Promise<Month[]> {
  const found = await sql`
    select replace(substr(relname, length('usage_events_') + 1), '_', '-') as name
    from pg_inherits join pg_class on pg_class.oid = inhrelid
    where inhparent = 'usage_events'::regclass and relname <> 'usage_events_default' order by relname`;
  return found.flatMap(({ name }) => monthNamed(name) ?? []);
}

/** What may be billed one day: usage of an open cycle, without a plan, or held because its model has no price. */
const unbilled = (table: string, since: string) => `
  select from ${table} as event
  where ${since}
    and (requests <> 0 or tokens <> 0 or coalesce(input_tokens, 0) <> 0 or coalesce(output_tokens, 0) <> 0
      or coalesce(cache_read_tokens, 0) <> 0 or coalesce(cache_write_tokens, 0) <> 0 or coalesce(reasoning_tokens, 0) <> 0)
    and not exists (select from billed_events where event_id = event.id and decided_at = event.decided_at)`;

/** Looked at without a lock first, day by day, so that no statement takes long; then only at what came meanwhile. */
async function drop(month: Month, sql: Sql): Promise<boolean> {
  const [begun] = await sql`select (now() - interval '1 hour')::text as at`;
  for (let from = Date.parse(month.from); from < Date.parse(month.to); from += DAY_MS) {
    const [start, end] = [from, from + DAY_MS].map((instant) => new Date(instant).toISOString());
    const ofDay = `decided_at >= '${start}' and decided_at < '${end}'`;
    const [look] = await sql.unsafe(`select exists (${unbilled(month.table, ofDay)}) as unbilled`);
    if (look?.unbilled) return false;
  }
  await sql.unsafe(dropSql(month, begun?.at)).simple();
  const [after] = await sql`select to_regclass(${month.table}) is null as gone`;
  return after?.gone;
}

/**
 * Writers wait from before the last look until it is gone, so that no event comes in between. The hour before the first look is in
 * it too: an event is recorded as of the begin of its transaction.
 */
const dropSql = ({ name, table }: Month, since: string) => `
do $$
begin
  perform set_config('lock_timeout', '2s', true);
  lock table only usage_events in share row exclusive mode;
  if to_regclass('${table}') is null or exists (${unbilled(table, `recorded_at >= '${since}'`)}) then return; end if;
  insert into usage_months_dropped (month) values ('${name}');
  drop table ${table};
end
$$`;
