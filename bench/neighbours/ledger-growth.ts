import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openDatabase } from '../../billing-worker/database/open.ts';
import { Calendar } from '../../billing-worker/ledger/calendar.ts';
import { Ledger } from '../../billing-worker/ledger/ledger.ts';
import { makePartitions } from '../../billing-worker/partitions/make.ts';
import { createLog } from '../../runtime/log.ts';
import { postgresUrl, startPostgresServer, stopPostgresServer } from '../../test/helpers/postgres-server.ts';
import { UsageGenerator } from '../../test/helpers/usage-generator.ts';
import { consume } from '../ingest/consume.ts';
import { inBatches } from '../ingest/in-batches.ts';
import type { Tools } from './tools.ts';

const EVENTS = 50_000;
const BATCH = 1_000;

/** Bytes of a real PostgreSQL for one usage event in the ledger: its row, its part of the indexes and of the rollups. */
export async function ledgerBytes({ bring }: Tools): Promise<number> {
  const native = await bring('postgres');
  // PostgreSQL does not run as root: its user must get in.
  const folder = await mkdtemp(join(tmpdir(), 'openclaw-rating-bench-'));
  await chmod(folder, 0o711);
  const server = await startPostgresServer(native, join(folder, 'postgres'));
  try {
    return await fill(postgresUrl(server, 'postgres'));
  } finally {
    await stopPostgresServer(server);
    await rm(folder, { recursive: true, force: true });
  }
}

async function fill(databaseUrl: string): Promise<number> {
  const database = await openDatabase({ databaseUrl, dataDir: '/nonexistent', log: createLog('error') });
  try {
    const { sql } = database;
    const usage = new UsageGenerator({ seed: 1, events: EVENTS, tenants: 500, months: 1 });
    for (let month = 0; month < 2; month++) await makePartitions(usage.from + month * 31 * 86_400_000, sql);
    const size = async () => Number((await sql`select pg_database_size(current_database()) as bytes`)[0]?.bytes);
    const empty = await size();
    const ledger = new Ledger({ sql, terms: { tenants: usage.tenants, calendar: new Calendar() }, onCommit: () => {} });
    await consume(inBatches(usage.inOrder(), BATCH), ledger);
    const [{ rows } = { rows: 0 }] = await sql`select count(*)::int as rows from usage_events`;
    if (!(rows > EVENTS / 2)) throw new Error(`the ledger has ${rows} rows`);
    return ((await size()) - empty) / rows;
  } finally {
    await database.close();
  }
}
