import { getTableColumns } from 'drizzle-orm';
import type { PgColumn, PgTable } from 'drizzle-orm/pg-core';
import { usageEvents } from '../../schemas/tables.ts';

const names = (columns: PgColumn[]) => columns.map(({ name }) => `"${name}"`).join(', ');
const columnsOf = (table: PgTable) => Object.values(getTableColumns(table)) as PgColumn[];

/** What the database adds to a row. */
const COMPUTED = ['cost_usd', 'recorded_at'];
const given = columnsOf(usageEvents).filter(({ name }) => !COMPUTED.includes(name));
const record = given.map((column) => `"${column.name}" ${column.getSQLType()}`).join(', ');

/**
 * Inserts ledger rows, adds the ones that are new to the rollups, and puts aside dead letters.
 * In: $1 the rows and $2 the dead letters, each as one JSON array of objects with the columns' names; one parameter
 * each, because 1,000 rows of 37 columns come near the 65,535 that PostgreSQL takes. Out: one row.
 * It is one statement, so it is one transaction without BEGIN: a connection that breaks between BEGIN and COMMIT ends
 * the whole process (postgres 3.4.9 then writes its own ROLLBACK to a socket that is null, where nothing can catch it).
 * Both inserts go in the order of their keys, so that two workers on the same events wait for each other in one
 * direction, and never deadlock.
 */
export const APPEND_SQL = `
with given as (
  select * from json_to_recordset($1::text::json) as given(${record})
), inserted as (
  insert into usage_events (${names(given)}, cost_usd)
  select ${names(given)}, tokens * price_per_token from given order by id, decided_at
  on conflict (id, decided_at) do nothing
  returning *
), rolled_up as (
  insert into usage_rollups as rollup (
    tenant_id, cycle_start, cycle_end, day, user_id, team_id, project_id, model,
    requests, denied, tokens, input_tokens, output_tokens, cost_usd
  )
  select
    tenant_id, cycle_start, cycle_end, day,
    coalesce(user_id, ''), coalesce(team_id, ''), coalesce(project_id, ''), coalesce(candidate, model, ''),
    sum(requests), sum(denied), sum(tokens),
    coalesce(sum(input_tokens), 0), coalesce(sum(output_tokens), 0), sum(cost_usd)
  from inserted group by 1, 2, 3, 4, 5, 6, 7, 8 order by 1, 2, 3, 4, 5, 6, 7, 8
  on conflict (tenant_id, cycle_start, cycle_end, day, user_id, team_id, project_id, model) do update set
    requests = rollup.requests + excluded.requests,
    denied = rollup.denied + excluded.denied,
    tokens = rollup.tokens + excluded.tokens,
    input_tokens = rollup.input_tokens + excluded.input_tokens,
    output_tokens = rollup.output_tokens + excluded.output_tokens,
    cost_usd = rollup.cost_usd + excluded.cost_usd
), put_aside as (
  insert into dead_letters (stream, stream_id, raw, digest, reason)
  select stream, stream_id, raw, digest, reason from json_to_recordset($2::text::json)
    as letter (stream text, stream_id text, raw text, digest text, reason text)
  on conflict on constraint dead_letters_entry do nothing
  returning id
)
select
  coalesce((select json_object_agg(type, new) from (select type, count(*) as new from inserted group by type) as types),
    '{}')::text as events,
  (select count(*)::int from put_aside) as dead_letters`;
