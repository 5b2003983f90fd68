import { getTableColumns } from 'drizzle-orm';
import type { PgColumn, PgTable } from 'drizzle-orm/pg-core';
import { apiKeys, auditEvents, usageEvents } from '../../schemas/tables.ts';
import { type LedgerRow, NOT_GIVEN } from './ledger-row.ts';

const names = (columns: PgColumn[]) => columns.map(({ name }) => `"${name}"`).join(', ');
const columnsOf = (table: PgTable) => Object.values(getTableColumns(table)) as PgColumn[];

const columnsBut = (table: PgTable, left: readonly string[]) =>
  columnsOf(table).filter(({ name }) => !left.includes(name));
const recordOf = (columns: PgColumn[]) => columns.map((column) => `"${column.name}" ${column.getSQLType()}`).join(', ');

const given = columnsBut(usageEvents, NOT_GIVEN);

/** The columns of a ledger row that are given, in the order of the statement's first parameters. */
export const GIVEN_COLUMNS = given.map(({ name }) => name) as (keyof LedgerRow)[];
/** The one that is given as lines of JSON: as an array its quotes would be escaped, which costs both sides 1 µs a row. */
export const LINES_COLUMN = 'limits';

const isJson = (column: PgColumn) => column.getSQLType() === 'jsonb';
/**
 * Rows of the arrays' elements, side by side: in the select list 3.7 µs a row of 37 short texts, in the from list 5.6. JSON comes as
 * text: an array of it takes PostgreSQL 7.5 µs a row to read, an array of text and then JSON 3.5.
 */
const sources = given.map((column, i) => `${rowsOf(column, `$${i + 1}::text`)} as "${column.name}"`);

function rowsOf(column: PgColumn, parameter: string): string {
  if (column.name === LINES_COLUMN) return `string_to_table(${parameter}, E'\\n')`;
  return `unnest(${parameter}::${isJson(column) ? 'text' : column.getSQLType()}[])`;
}

const values = given.map((column) => `"${column.name}"${isJson(column) ? '::jsonb' : ''}`).join(', ');
/** The parameters after those. */
const after = (offset: number) => `$${given.length + 1 + offset}::text`;
/** Arrays of elements of one length are looked up in without reading what is before. Each is read once, as a subquery of its own. */
const ofTheDay = ['timestamptz', 'timestamptz', 'date'].map(
  (type, i) => `(select ${after(1 + i)}::${type}[])[calendar_day]`,
);
const json = (offset: number) => `${after(4 + offset)}::json`;

const COMPUTED = ['recorded_at', 'updated_at'];
const audit = columnsBut(auditEvents, COMPUTED);
const key = columnsBut(apiKeys, COMPUTED);
const newerKey = key.map(({ name }) => `"${name}" = excluded."${name}"`).join(', ');

/**
 * Inserts ledger rows, adds the ones that are new to the rollups, puts aside dead letters, inserts audit events, and keeps
 * the latest state of each API key.
 * In: what `appendParameters` makes of the rows; then the dead letters, the audit events and the keys' states, each as one JSON
 * array of objects with the columns' names; then the number of rows.
 * Out: one row; `new_ids` is null where all were new.
 * It is one statement, so it is one transaction without BEGIN: a connection that breaks between BEGIN and COMMIT ends
 * the whole process (postgres 3.4.9 then writes its own ROLLBACK to a socket that is null, where nothing can catch it).
 * All inserts go in the order of their keys, in which the rows are given, so that two of these on the same events wait for each other
 * in one direction, and never deadlock.
 */
export const APPEND_SQL = `
with given as (
  select ${sources.join(', ')}, unnest(${after(0)}::int[]) as calendar_day
), inserted as (
  insert into usage_events (${names(given)}, cycle_start, cycle_end, day, cost_usd)
  select ${values}, ${ofTheDay.join(', ')}, tokens * price_per_token from given
  on conflict (id, decided_at) do nothing
  returning id, type, tenant_id, cycle_start, cycle_end, day, user_id, team_id, project_id, model, candidate, requests, denied, tokens,
    input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens, cost_usd
), rolled_up as (
  insert into usage_rollups as rollup (
    tenant_id, cycle_start, cycle_end, day, user_id, team_id, project_id, model,
    requests, denied, tokens, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens, cost_usd
  )
  select
    tenant_id, cycle_start, cycle_end, day,
    coalesce(user_id, ''), coalesce(team_id, ''), coalesce(project_id, ''), coalesce(candidate, model, ''),
    sum(requests), sum(denied), sum(tokens),
    coalesce(sum(input_tokens), 0), coalesce(sum(output_tokens), 0), coalesce(sum(cache_read_tokens), 0),
    coalesce(sum(cache_write_tokens), 0), coalesce(sum(reasoning_tokens), 0), sum(cost_usd)
  from inserted group by 1, 2, 3, 4, 5, 6, 7, 8 order by 1, 2, 3, 4, 5, 6, 7, 8
  on conflict (tenant_id, cycle_start, cycle_end, day, user_id, team_id, project_id, model) do update set
    requests = rollup.requests + excluded.requests,
    denied = rollup.denied + excluded.denied,
    tokens = rollup.tokens + excluded.tokens,
    input_tokens = rollup.input_tokens + excluded.input_tokens,
    output_tokens = rollup.output_tokens + excluded.output_tokens,
    cache_read_tokens = rollup.cache_read_tokens + excluded.cache_read_tokens,
    cache_write_tokens = rollup.cache_write_tokens + excluded.cache_write_tokens,
    reasoning_tokens = rollup.reasoning_tokens + excluded.reasoning_tokens,
    cost_usd = rollup.cost_usd + excluded.cost_usd
), put_aside as (
  insert into dead_letters (stream, stream_id, raw, digest, reason)
  select stream, stream_id, raw, digest, reason from json_to_recordset(${json(0)})
    as letter (stream text, stream_id text, raw text, digest text, reason text)
  on conflict on constraint dead_letters_entry do nothing
  returning id
), audited as (
  insert into audit_events (${names(audit)})
  select ${names(audit)} from json_to_recordset(${json(1)}) as event(${recordOf(audit)}) order by id
  on conflict (id) do nothing
  returning id
), kept as (
  insert into api_keys as kept (${names(key)})
  select distinct on (id) ${names(key)} from json_to_recordset(${json(2)}) as state(${recordOf(key)})
  order by id, revision desc
  on conflict (id) do update set ${newerKey}, updated_at = now()
  where excluded.revision > kept.revision
)
select
  coalesce((select json_object_agg(type, new) from (
    select type, count(*) as new from inserted group by type
    union all select 'audit', count(*) from audited having count(*) > 0
  ) as types), '{}')::text as events,
  case when (select count(*) from inserted) < ${after(7)}::int
    then coalesce((select json_agg(id)::text from inserted), '[]') end as new_ids,
  (select count(*)::int from put_aside) as dead_letters`;
