import type { Sql } from 'postgres';
import { API_KEY_VERSION, type ApiKey } from '../../schemas/api-key.ts';

export interface KeysOf {
  partition: number;
  /** Keys that were revoked or expired before this instant are left out. */
  endedSince: number;
  /** The id of the last key of the chunk before. */
  after: string;
  limit: number;
}

const milliseconds = (column: string) => `(extract(epoch from ${column}) * 1000)::bigint::text as ${column}`;

const SELECT = `
  select id, revision::text as revision, digest, name, tenant_id, team_id, user_id, created_by, rotated_from, rotated_to,
    ${['created_at', 'expires_at', 'revoked_at'].map(milliseconds).join(', ')}
  from api_keys
  where partition = $1 and id > $2
    and coalesce(least(revoked_at, expires_at), 'infinity') >= $3::text::timestamptz
  order by id limit $4`;

/** The latest states that the ledger has of a partition's keys, by id. */
export async function ledgerKeys({ after, endedSince, limit, partition }: KeysOf, sql: Sql): Promise<ApiKey[]> {
  const parameters = [partition, after, new Date(endedSince).toISOString(), limit];
  const rows = await sql.unsafe(SELECT, parameters, { prepare: true });
  return rows.map(({ created_at, expires_at, revision, revoked_at, ...same }) => ({
    v: API_KEY_VERSION,
    ...withoutNulls(same),
    revision: Number(revision),
    created_at: Number(created_at),
    ...(expires_at !== null && { expires_at: Number(expires_at) }),
    ...(revoked_at !== null && { revoked_at: Number(revoked_at) }),
  }));
}

type Names = Omit<ApiKey, 'v' | 'revision' | 'created_at' | 'expires_at' | 'revoked_at'>;

const withoutNulls = (row: Record<string, unknown>) =>
  Object.fromEntries(Object.entries(row).filter(([, value]) => value !== null)) as unknown as Names;
