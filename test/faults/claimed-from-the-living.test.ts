import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { Consumer } from '../../billing-worker/consume.ts';
import { openDatabase } from '../../billing-worker/database/open.ts';
import { Calendar } from '../../billing-worker/ledger/calendar.ts';
import { Ledger } from '../../billing-worker/ledger/ledger.ts';
import { openRedisStream } from '../../billing-worker/stream/redis.ts';
import { systemClock } from '../../runtime/clock.ts';
import { silent } from '../billing/databases.ts';
import { usageEvent } from '../billing/events.ts';
import { tenants } from '../billing/tenants.ts';
import { eventually } from '../helpers/eventually.ts';
import { atTestEnd } from '../helpers/test-end.ts';
import { expectBilledOnce, pending, STREAM, startRig } from './rig.ts';

const EVENTS = 300;

/** Two readers that take each other for dead after 50 ms, while the database holds up every batch. */
test('two workers that claim from each other what both are writing: both write it, and each event is there once', {
  timeout: 60_000,
}, async () => {
  const rig = await startRig();
  const { sql, close } = await openDatabase({
    databaseUrl: rig.environment.DATABASE_URL,
    dataDir: '/nonexistent',
    log: silent,
  });
  atTestEnd(close);
  let committed = 0;
  const onCommit = ({ events }: { events: { consumed?: number } }) => {
    committed += events.consumed ?? 0;
  };
  const given: string[] = [];
  const registry = new Registry();
  const start = async (consumer: string) => {
    const stream = await openRedisStream({ url: rig.redis.url, key: STREAM, consumer, registry, log: silent });
    const writer = new Ledger({ sql, terms: { tenants, calendar: new Calendar() }, onCommit });
    const worker = new Consumer({
      stream,
      append: async (entries) => {
        given.push(...entries.map(({ id }) => id));
        await writer.append(entries);
      },
      clock: systemClock,
      log: silent,
      waitMs: 20,
      idleMs: 50,
      reclaimEveryMs: 20,
    });
    worker.start();
    atTestEnd(async () => {
      await worker.stop();
      await stream.close();
    });
  };
  const events = Array.from({ length: EVENTS }, () => usageEvent());
  for (const event of events) await rig.client.xAdd(STREAM, '*', { e: JSON.stringify(event) });

  await sql.begin(async (locking) => {
    await locking`lock table usage_rollups in exclusive mode`;
    await Promise.all(['a', 'b'].map(start));
    await eventually(() => expect(given.length).toBeGreaterThan(EVENTS));
  });
  await expectBilledOnce(
    rig,
    events.map(({ decision_id }) => decision_id),
  );
  expect(committed).toBe(EVENTS);
  await eventually(async () => expect(await pending(rig)).toBe(0));
  expect(await registry.metrics()).toContain('openclaw_usage_stream_lost_entries_total 0');
});
