import type { Sql } from 'postgres';
import { openDatabase } from '../../billing-worker/database/open.ts';
import { Calendar } from '../../billing-worker/ledger/calendar.ts';
import { Ledger } from '../../billing-worker/ledger/ledger.ts';
import { makePartitions } from '../../billing-worker/partitions/make.ts';
import { createLog } from '../../runtime/log.ts';
import { UsageGenerator } from '../../test/helpers/usage-generator.ts';
import { bareCopy, rowsSince } from './bare-copy.ts';
import { consume } from './consume.ts';
import { CpuMeter } from './cpu-meter.ts';
import { inBatches } from './in-batches.ts';
import { measureMemory } from './memory.ts';

export interface Options {
  events: number;
  rounds: number;
  batch: number;
  shuffled?: boolean;
  full?: boolean;
}

interface Round {
  /** Microseconds an event. */
  ours: number;
  copy: number;
  node: number;
  server: number;
}

/** Prints, for each round and in the middle, microseconds an event of both ways and their ratio. */
export async function benchmark(databaseUrl: string, options: Options): Promise<void> {
  const database = await openDatabase({ databaseUrl, dataDir: '/nonexistent', log: createLog('error') });
  try {
    const { sql } = database;
    const rounds = await compare(sql, options);
    const ratios = rounds.map(({ copy, ours }) => copy / ours).sort((a, b) => a - b);
    print(
      `ratio ${(ratios[Math.floor(ratios.length / 2)] as number).toFixed(2)} in the middle of ${rounds.length} rounds`,
    );
    if (options.full) await measureMemory(sql, options.batch, print);
  } finally {
    await database.close();
  }
}

async function compare(sql: Sql, { batch, events, rounds, shuffled }: Options): Promise<Round[]> {
  const usage = new UsageGenerator({
    seed: 1,
    events: Math.max(1_000_000, events * (rounds + 1)),
    tenants: 500,
    months: 3,
  });
  for (let month = 0; month < 4; month++) await makePartitions(usage.from + month * 31 * 86_400_000, sql);
  const ledger = new Ledger({ sql, terms: { tenants: usage.tenants, calendar: new Calendar() }, onCommit: () => {} });
  const cpu = new CpuMeter(sql);
  const source = inBatches(shuffled ? usage.onTime() : usage.inOrder(), batch);
  const results: Round[] = [];
  for (let round = 0; round <= rounds; round++) {
    // Made before the clock runs: the stream's texts are what a worker is given.
    const batches = Array.from({ length: Math.ceil(events / batch) }, () => source.next().value ?? []);
    const given = batches.reduce((sum, { length }) => sum + length, 0);
    const [{ mark } = { mark: '' }] = await sql`select clock_timestamp()::text as mark`;
    const start = performance.now();
    const used = await cpu.of(() => consume(batches, ledger));
    const ours = performance.now() - start;
    const rows = await rowsSince(mark, sql);
    const copy = await bareCopy(rows, sql);
    const each = (milliseconds: number) => (milliseconds * 1_000) / given;
    const result = { ours: each(ours), copy: each(copy), node: each(used.node), server: each(used.server) };
    print(
      `${round ? `round ${round}` : 'warm-up'}: ours ${show(result.ours)} (CPU: worker ${show(result.node)}, ` +
        `server ${show(result.server)}), COPY ${show(result.copy)}, ratio ${(result.copy / result.ours).toFixed(2)}`,
    );
    if (round) results.push(result);
  }
  return results;
}

const show = (microseconds: number) => `${microseconds.toFixed(1)} µs`;
const print = (line: string) => console.log(line);
