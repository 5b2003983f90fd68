import { getTableColumns } from 'drizzle-orm';
import type { PgColumn, PgTable } from 'drizzle-orm/pg-core';
import { apiKeys, auditEvents, usageEvents } from '../../schemas/tables.ts';
import type { LedgerRow } from './ledger-row.ts';

const names = (columns: PgColumn[]) => columns.map(({ name }) => `"${name}"`).join(', ');
const columnsOf = (table: PgTable) => Object.values(getTableColumns(table)) as PgColumn[];

/** What the database adds to a row. */
const COMPUTED = ['cost_usd', 'recorded_at', 'updated_at'];
const givenColumns = (table: PgTable) => columnsOf(table).filter(({ name }) => !COMPUTED.includes(name));
const recordOf = (columns: PgColumn[]) => columns.map((column) => `"${column.name}" ${column.getSQLType()}`).join(', ');

const given = givenColumns(usageEvents);

/** The columns of a ledger row that are given, in the order of the statement's first parameters. */
export const GIVEN_COLUMNS = given.map(({ name }) => name) as (keyof LedgerRow)[];

const isJson = (column: PgColumn) => column.getSQLType() === 'jsonb';
/** JSON comes as text: an array of it takes PostgreSQL 7.5 µs a row to read, an array of text and then JSON 3.5. */
const arrays = given
  .map((column, i) => `$${i + 1}::text::${isJson(column) ? 'text' : column.getSQLType()}[]`)
  .join(', ');
const values = given.map((column) => `"${column.name}"${isJson(column) ? '::jsonb' : ''}`).join(', ');
/** The parameter after those, and the ones that follow it. */
const json = (offset: number) => `$${given.length + 1 + offset}::text::json`;

const audit = givenColumns(auditEvents);
const key = givenColumns(apiKeys);
const newerKey = key.map(({ name }) => `"${name}" = excluded."${name}"`).join(', ');

/**
 * Inserts ledger rows, adds the ones that are new to the rollups, puts aside dead letters, inserts audit events, and keeps
 * the latest state of each API key.
 * In: for each of `GIVEN_COLUMNS` the rows' values as one PostgreSQL array; then the dead letters, the audit events and the
 * keys' states, each as one JSON array of objects with the columns' names.
 * Out: one row.
 * It is one statement, so it is one transaction without BEGIN: a connection that breaks between BEGIN and COMMIT ends
 * the whole process (postgres 3.4.9 then writes its own ROLLBACK to a socket that is null, where nothing can catch it).
 * All inserts go in the order of their keys, so that two workers on the same events wait for each other in one
 * direction, and never deadlock.
 */
export const APPEND_SQL = `
with given as (
  select * from unnest(${arrays}) as given (${names(given)})
), inserted as (
  insert into usage_events (${names(given)}, cost_usd)
  select ${values}, tokens * price_per_token from given order by id collate "C", decided_at
  on conflict (id, decided_at) do nothing
  returning type, tenant_id, cycle_start, cycle_end, day, user_id, team_id, project_id, model, candidate, requests, denied, tokens,
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
  (select count(*)::int from put_aside) as dead_letters`;
