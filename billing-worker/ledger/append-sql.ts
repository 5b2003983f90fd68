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
 * Inserts ledger rows and adds the ones that are new to the rollups, in one statement.
 * In: the rows as one JSON array, keys named as the columns; one parameter, because 1,000 rows of 38 columns are
 * nearly the 65,535 that PostgreSQL takes. Out: `type`, and how many of it are new.
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
)
select type, count(*)::int as new from inserted group by type`;
