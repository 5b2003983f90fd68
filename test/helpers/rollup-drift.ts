import type { Sql } from 'postgres';

const KEY = 'tenant_id, cycle_start, cycle_end, day, user_id, team_id, project_id, model';
const SUMS = [
  'requests',
  'denied',
  'tokens',
  'input_tokens',
  'output_tokens',
  'cache_read_tokens',
  'cache_write_tokens',
  'reasoning_tokens',
];

const summed = SUMS.map((column) => `coalesce(sum(${column}), 0)::bigint as ${column}`).join(', ');

const DRIFT = `
  with summed as (
    select tenant_id, cycle_start, cycle_end, day, coalesce(user_id, '') as user_id, coalesce(team_id, '') as team_id,
      coalesce(project_id, '') as project_id, coalesce(candidate, model, '') as model, ${summed},
      sum(tokens * price_per_token)::numeric(30, 12) as cost_usd
    from usage_events group by 1, 2, 3, 4, 5, 6, 7, 8
  ), kept as (
    select ${KEY}, ${SUMS.join(', ')}, cost_usd from usage_rollups
  )
  (select * from summed except select * from kept) union all (select * from kept except select * from summed) limit 10`;

/** Some rows where the rollups and a fresh sum of the ledger differ: none, if all is well. */
export const rollupDrift = async (sql: Sql): Promise<object[]> => [...(await sql.unsafe(DRIFT))];
