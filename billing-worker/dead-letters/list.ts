import type { Sql } from 'postgres';

export interface DeadLettersQuery {
  limit: number;
  /** The id of the last letter of the page before. */
  after?: string | undefined;
  /** Only those with this text in their reason. */
  reason?: string | undefined;
  /** With the text of the entry, which may be of anything. */
  raw: boolean;
}

export interface DeadLetter {
  id: string;
  stream: string;
  stream_id: string;
  reason: string;
  /** RFC 3339 in UTC, with milliseconds. */
  at: string;
  replayed_at: string | null;
  /** Bytes of the entry's text; 0 where it had none. */
  size: number;
  raw?: string | null;
}

const LIST = `
select id::text as id, stream, stream_id, reason, (extract(epoch from at) * 1000)::float8 as at,
  (extract(epoch from replayed_at) * 1000)::float8 as replayed_at, coalesce(octet_length(raw), 0) as size,
  case when $4::boolean then raw end as raw
from dead_letters where id > $1::bigint and ($2::text is null or position($2 in reason) > 0)
order by dead_letters.id limit $3`;

/** In the order of their ids, the oldest first; `next` is the `after` of the next page, or null. */
export async function listDeadLetters(
  { after = '0', limit, raw, reason }: DeadLettersQuery,
  sql: Sql,
): Promise<{ data: DeadLetter[]; next: string | null }> {
  // One more tells whether there is a next page.
  const found = await sql.unsafe(LIST, [after, reason ?? null, limit + 1, raw], { prepare: true });
  const data = found.slice(0, limit).map(({ at, raw: text, replayed_at, ...same }) => ({
    ...(same as unknown as Pick<DeadLetter, 'id' | 'stream' | 'stream_id' | 'reason' | 'size'>),
    at: new Date(at).toISOString(),
    replayed_at: replayed_at === null ? null : new Date(replayed_at).toISOString(),
    ...(raw && { raw: text as string | null }),
  }));
  return { data, next: found.length > limit ? (data.at(-1)?.id ?? null) : null };
}
