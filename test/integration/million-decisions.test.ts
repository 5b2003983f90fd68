import { pino } from 'pino';
import { createClient } from 'redis';
import { expect, test } from 'vitest';
import { systemClock } from '../../runtime/clock.ts';
import { RecordsFull } from '../../sidecar/counters/contract.ts';
import { connectRedis } from '../../sidecar/counters/redis/connection.ts';
import { loadScripts } from '../../sidecar/counters/redis/scripts.ts';
import { RedisStore } from '../../sidecar/counters/redis/store.ts';
import { limit, plan } from '../conformance/workbench.ts';
import { BRING_TIMEOUT_MS } from '../helpers/bring.ts';
import { SETTINGS } from '../helpers/counter-settings.ts';
import { fullLength } from '../helpers/full-length.ts';
import { startRedis } from '../helpers/redis-server.ts';
import { inParallel } from '../helpers/sidecar-client.ts';

const DECISIONS = fullLength ? 1_000_000 : 40_000;
const CALLERS = 256;
const MB = 1024 * 1024;

/** A store on a Redis that forgets the stream, as the ledger would: its entries are not what is measured. */
async function open(maxRecords: number) {
  const redis = await startRedis({ appendonly: false });
  const connection = await connectRedis(redis.url, 10_000, pino({ level: 'silent' }));
  const store = new RedisStore(connection, loadScripts(), systemClock, { ...SETTINGS, maxRecords });
  const client = createClient({ url: redis.url });
  await client.connect();
  const usedMemory = async () => {
    await client.xTrim('ocr:{p0}:usage', 'MAXLEN', 0);
    return Number(/used_memory:(\d+)/.exec(await client.info('memory'))?.[1]);
  };
  const close = () => Promise.all([store.close(), client.close()]);
  return { store, client, usedMemory, close };
}

const wide = limit({ capacity: Number.MAX_SAFE_INTEGER });

test(`C4 ${DECISIONS.toLocaleString('en')} decisions with nothing to settle leave no record and no memory`, {
  timeout: BRING_TIMEOUT_MS,
}, async () => {
  const { client, close, store, usedMemory } = await open(10);
  const event = { tenant_id: 'acme' };
  const take = (index: number) => store.take({ decisionId: `${index}.0`, plan: plan(wide), event, fingerprint: '' });
  await take(-1);
  const before = await usedMemory();
  const kinds = await inParallel(DECISIONS, CALLERS, async (index) => {
    if (index % 50_000 === 0) await client.xTrim('ocr:{p0}:usage', 'MAXLEN', 0);
    return (await take(index)).kind;
  });
  expect(kinds.every((kind) => kind === 'taken')).toBe(true);
  expect((await client.keys('*')).toSorted()).toEqual(['ocr:{p0}:c:acme:tenant:self', 'ocr:{p0}:usage']);
  expect((await store.peek(plan(wide), 'acme')).outcome.limits[0]?.before).toBe(DECISIONS + 1);
  expect((await usedMemory()) - before).toBeLessThan(MB);
  await close();
});

test('C4 with records the bound holds, and memory stays below it', { timeout: BRING_TIMEOUT_MS }, async () => {
  const MOST = 20_000;
  const { client, close, store, usedMemory } = await open(MOST);
  const before = await usedMemory();
  const reserved = { ...wide, settles: true };
  const results = await inParallel(MOST + 5_000, CALLERS, (index) =>
    store
      .take({ decisionId: `${index}.0`, plan: plan(reserved), event: { tenant_id: 'acme' }, fingerprint: '' })
      .then(({ kind }) => kind)
      .catch((error) => error),
  );
  expect(results.filter((result) => result === 'taken')).toHaveLength(MOST);
  expect(results.filter((result) => result instanceof RecordsFull)).toHaveLength(5_000);
  expect(await client.dbSize()).toBe(MOST + 4);
  // What the operators' guide says a record takes.
  expect((await usedMemory()) - before).toBeLessThan(MOST * 1_300);
  await close();
});
