import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Sql } from 'postgres';

const CHUNK = 65_536;
const ESCAPES: Record<string, string> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/** Ledger rows that were recorded since an instant, as COPY takes them. */
export async function rowsSince(mark: string, sql: Sql): Promise<Buffer> {
  const rows = (await sql
    .unsafe(`select * from usage_events where recorded_at >= '${mark}'`)
    .raw()) as unknown as (Buffer | null)[][];
  const lines = rows.map((row) => `${row.map(field).join('\t')}\n`);
  return Buffer.from(lines.join(''));
}

const field = (value: Buffer | null) =>
  value === null ? '\\N' : value.toString().replace(/[\\\n\r\t]/g, (character) => ESCAPES[character] as string);

/** Milliseconds of a COPY of rows that are at hand as text, into a new table without a key, an index or a check. */
export async function bareCopy(rows: Buffer, sql: Sql): Promise<number> {
  await sql.unsafe('drop table if exists bare; create table bare (like usage_events)').simple();
  const chunks = Array.from({ length: Math.ceil(rows.length / CHUNK) }, (_, i) =>
    rows.subarray(i * CHUNK, (i + 1) * CHUNK),
  );
  const start = performance.now();
  await pipeline(Readable.from(chunks), await sql`copy bare from stdin`.writable());
  return performance.now() - start;
}
