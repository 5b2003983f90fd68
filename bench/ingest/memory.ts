import type { Sql } from 'postgres';
import { Calendar } from '../../billing-worker/ledger/calendar.ts';
import { Ledger } from '../../billing-worker/ledger/ledger.ts';
import { UsageGenerator } from '../../test/helpers/usage-generator.ts';
import { consume } from './consume.ts';
import { inBatches } from './in-batches.ts';

const MARKS = [100_000, 1_000_000];

/** Prints how much memory this process has after 100,000 and after 1,000,000 more events; they are made as they are needed. */
export async function measureMemory(sql: Sql, batch: number, print: (line: string) => void): Promise<void> {
  const usage = new UsageGenerator({ seed: 2, events: MARKS.at(-1) as number, tenants: 500, months: 3 });
  const ledger = new Ledger({ sql, terms: { tenants: usage.tenants, calendar: new Calendar() }, onCommit: () => {} });
  const marks = [...MARKS];
  await consume(inBatches(usage.inOrder(), batch), ledger, (done) => {
    if (done < (marks[0] ?? Number.POSITIVE_INFINITY)) return;
    marks.shift();
    const { heapUsed, rss } = process.memoryUsage();
    print(`after ${done} events: RSS ${mebibytes(rss)}, heap ${mebibytes(heapUsed)}`);
  });
}

const mebibytes = (bytes: number) => `${Math.round(bytes / 2 ** 20)} MiB`;
