import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pino } from 'pino';
import { beforeEach, expect, test } from 'vitest';
import { type ApiKey, gateOfKey } from '../../../schemas/api-key.ts';
import { apiKey } from '../../../test/conformance/api-keys-bench.ts';
import { TestClock } from '../../../test/helpers/clock.ts';
import { SETTINGS } from '../../../test/helpers/counter-settings.ts';
import { tempDir } from '../../../test/helpers/temp-dir.ts';
import type { CounterStore } from '../contract.ts';
import { createEmbeddedStore } from './open.ts';
import { header, recordLine } from './record-line.ts';

const KEYS = 60;

let dataDir: string;

beforeEach(async () => {
  dataDir = await tempDir('counters');
});

/** With a journal that is full after some twenty keys. */
const open = () =>
  createEmbeddedStore({
    dataDir,
    clock: new TestClock(),
    log: pino({ level: 'silent' }),
    settings: SETTINGS,
    maxJournalBytes: 20_000,
  });

const files = async () => (await readdir(join(dataDir, 'counters'))).sort();

const change = (store: CounterStore, key: ApiKey, closeGates: string[] = []) =>
  store.changeApiKeys({
    tenantId: key.tenant_id,
    keys: [key],
    closeGates,
    audit: { id: `${key.id}:${key.revision}`, action: 'key.issued', actor: 'admin' },
  });

async function said(store: CounterStore) {
  const { keys } = await store.apiKeys({ limit: 1_000 });
  const used = await store.apiKeysLastUsed(keys.map(({ id }) => id));
  const plan = { limits: [], candidates: [], raw_counters: false };
  const takes = keys.map(({ id, tenant_id }) =>
    store.take({ decisionId: 'd', plan, event: { tenant_id }, fingerprint: '', keyGate: gateOfKey(id), quiet: true }),
  );
  const kinds = (await Promise.all(takes)).map(({ kind }) => kind);
  return { keys, used, kinds, missing: await store.partitionsWithoutApiKeys() };
}

test('what journals and snapshots say of keys is what was said of them', async () => {
  const { close, store } = await open();
  for (let n = 0; n < KEYS; n++) {
    const key = apiKey({ id: `k0_${String(n).padStart(12, '0')}` });
    await change(store, key);
    if (n % 2) await store.noteApiKeysUsed(new Map([[key.id, 1_000 + n]]));
    if (n % 3 === 0) await change(store, { ...key, revision: 2, revoked_at: 5 }, [gateOfKey(key.id)]);
    if (n === 10) await store.publishApiKeys({ partition: 0, keys: [], complete: true });
  }
  const before = await said(store);
  expect(before.kinds.filter((kind) => kind === 'closed')).toHaveLength(KEYS / 3);
  expect(before.used.size).toBe(KEYS / 2);
  expect(before.missing).toEqual([]);
  await close();
  expect(await files()).not.toContain('journal-000000001');
  const again = await open();
  expect(await said(again.store)).toEqual(before);
  await again.close();
});

test('a journal from before there were keys is read, and there are none', async () => {
  await mkdir(join(dataDir, 'counters'));
  const line = recordLine(JSON.stringify({ gate: ['g:tenant:key%3A1', 9_007_199_254_740_991] }));
  await writeFile(join(dataDir, 'counters/journal-000000001'), `${header('journal')}${line}`);
  const { close, store } = await open();
  expect(await said(store)).toEqual({ keys: [], used: new Map(), kinds: [], missing: [0] });
  expect(await change(store, apiKey())).toBe('changed');
  await close();
});

test('a key that a newer release wrote is not let in', async () => {
  await mkdir(join(dataDir, 'counters'));
  const { id } = apiKey();
  const line = recordLine(JSON.stringify({ apiKeys: [[id, { ...apiKey(), v: 2 }]] }));
  await writeFile(join(dataDir, 'counters/journal-000000001'), `${header('journal')}${line}`);
  const { close, store } = await open();
  await expect(store.apiKey(id)).rejects.toThrow(`API key ${id} is of version 2; this is version 1`);
  await expect(store.apiKeys({ limit: 1 })).rejects.toThrow('is of version 2');
  await close();
});
