import { getTableColumns } from 'drizzle-orm';
import type { PgColumn } from 'drizzle-orm/pg-core';
import type { Sql } from 'postgres';
import { gatewayRequests } from '../../schemas/tables.ts';
import type { GatewayRequest } from './gateway-request.ts';

const given = (Object.values(getTableColumns(gatewayRequests)) as PgColumn[]).filter(
  ({ name }) => name !== 'recorded_at',
);
const names = given.map(({ name }) => `"${name}"`).join(', ');
const record = given.map((column) => `"${column.name}" ${column.getSQLType()}`).join(', ');

/**
 * In the order of the key, so that two importers of the same log wait for each other in one direction, and never deadlock.
 * One statement, as in the ledger: a connection that breaks between BEGIN and COMMIT would end the process.
 */
const INSERT = `
with inserted as (
  insert into gateway_requests (${names})
  select ${names} from json_to_recordset($1::text::json) as given(${record}) order by id, at
  on conflict on constraint gateway_requests_pk do nothing
  returning 1
)
select count(*)::int as new from inserted`;

/** Adds the requests that are not there yet, all or none of them. Resolves with how many were new. */
export async function storeRequests(requests: GatewayRequest[], sql: Sql): Promise<number> {
  if (requests.length === 0) return 0;
  const [done] = await sql.unsafe(INSERT, [JSON.stringify(requests)], { prepare: true });
  return done?.new;
}
