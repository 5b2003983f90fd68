import { cpSync, mkdirSync, readdirSync } from 'node:fs';
import type * as fs from 'node:fs/promises';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { limit, plan, Workbench } from '../../../test/conformance/workbench.ts';
import { TestClock } from '../../../test/helpers/clock.ts';
import { SETTINGS } from '../../../test/helpers/counter-settings.ts';
import { tempDir } from '../../../test/helpers/temp-dir.ts';
import { createEmbeddedStore } from './open.ts';

/** Called before and after each change to a folder: a crash may come at any of these points. */
const crashPoint = vi.hoisted(() => ({ here: (_step: string) => {} }));

vi.mock('node:fs/promises', async (original) => {
  const real = await original<typeof fs>();
  const around =
    <Args extends unknown[], Result>(name: string, call: (...args: Args) => Promise<Result>) =>
    async (...args: Args): Promise<Result> => {
      crashPoint.here(`before ${name}`);
      const result = await call(...args);
      crashPoint.here(`after ${name}`);
      return result;
    };
  return {
    ...real,
    open: around('open', real.open as (...args: unknown[]) => Promise<fs.FileHandle>),
    rename: around('rename', real.rename),
    rm: around('rm', real.rm),
  };
});

const log = pino({ level: 'silent' });
const clock = new TestClock();
const MAX_JOURNAL_BYTES = 20_000;
const TENANTS = ['t0', 't1', 't2'];
const wide = limit({ capacity: 1_000_000, cost: 2, settles: true });

let dataDir: string;

beforeEach(async () => {
  dataDir = await tempDir('counters');
});
afterEach(() => {
  crashPoint.here = () => {};
});

const open = async (dir: string, maxJournalBytes = MAX_JOURNAL_BYTES) =>
  new Workbench({
    ...(await createEmbeddedStore({ dataDir: dir, clock, log, maxJournalBytes, settings: SETTINGS })),
    clock,
  });

const files = (dir: string) => readdirSync(join(dir, 'counters')).sort();

/** What the store says, in full: counters, and every event that is not acknowledged. */
async function said(bench: Workbench): Promise<{ used: number[]; ids: string[] }> {
  const used: number[] = [];
  for (const tenant of TENANTS) used.push((await bench.peek({ ...wide, cost: 0 }, tenant)).limits[0]?.before ?? -1);
  const entries = [...(await bench.stream.reclaim(10_000, 0)), ...(await bench.stream.read(10_000, 1))];
  return { used, ids: entries.map(({ event }) => JSON.parse(event ?? '').id) };
}

test('a journal that is full is followed by a new one and a snapshot, and the old files go', async () => {
  const bench = await open(dataDir);
  while (!files(dataDir).includes('snapshot-000000004')) await work(bench, 10, () => {});
  await bench.close();
  const [newest, ...others] = files(dataDir).filter((name) => name.startsWith('snapshot'));
  expect(others).toEqual([]);
  const generation = newest?.slice('snapshot-'.length);
  expect(files(dataDir)).toEqual([`journal-${generation}`, `snapshot-${generation}`]);
});

/** Takes, settles, voids and acknowledges, and tells after each what was acknowledged to the caller. */
async function work(bench: Workbench, rounds: number, acknowledged: (id: string) => void): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    const event = { tenant_id: TENANTS[round % TENANTS.length] as string };
    const takes = await Promise.all([1, 2].map(() => bench.taken(plan(wide), { event, requestId: bench.newId() })));
    for (const { id } of takes) acknowledged(`${id}:reserved`);
    const [first, second] = takes;
    if (first && round % 3 === 0) {
      await bench.settle(first.id, 5);
      acknowledged(`${first.id}:settled`);
    }
    if (second && round % 5 === 0) {
      await bench.void(second.id);
      acknowledged(`${second.id}:voided`);
    }
  }
}

test('a crash at any point of it loses nothing and doubles nothing', async () => {
  const acknowledged: string[] = [];
  const crashes: { dir: string; step: string; acknowledged: number }[] = [];
  const root = await tempDir('crashes');
  const bench = await open(dataDir);
  crashPoint.here = (step) => {
    const dir = join(root, String(crashes.length));
    mkdirSync(dir);
    cpSync(join(dataDir, 'counters'), join(dir, 'counters'), { recursive: true });
    crashes.push({ dir, step, acknowledged: acknowledged.length });
  };
  while (crashes.length < 60) await work(bench, 15, (id) => acknowledged.push(id));
  crashPoint.here = () => {};
  const all = await said(bench);
  await bench.close();

  expect(new Set(crashes.flatMap(({ dir }) => files(dir))).size).toBeGreaterThan(8);
  for (const crash of crashes) {
    const left = await open(crash.dir, Number.POSITIVE_INFINITY);
    const { ids, used } = await said(left);
    const there = new Set(ids);
    expect(there.size, crash.step).toBe(ids.length);
    expect(acknowledged.slice(0, crash.acknowledged).filter((id) => !there.has(id))).toEqual([]);
    expect(used, crash.step).toEqual(await charged(left));
    expect(files(crash.dir).filter((name) => name.endsWith('.tmp'))).toEqual([]);
    await left.close();
  }
  const last = await open(dataDir);
  expect(await said(last)).toEqual(all);
  await last.close();
}, 60_000);

/** What the events of each tenant add up to. */
async function charged(bench: Workbench): Promise<number[]> {
  const entries = await bench.stream.reclaim(10_000, 0);
  const events = entries.map(({ event }) => JSON.parse(event ?? ''));
  return TENANTS.map((tenant) =>
    events
      .filter(({ tenant_id }) => tenant_id === tenant)
      .flatMap(({ limits }) => limits)
      .reduce((sum: number, { amount }: { amount: number }) => sum + amount, 0),
  );
}

test('acknowledged entries do not come back with a snapshot, and ids go on from where they were', async () => {
  const first = await open(dataDir);
  await work(first, 150, () => {});
  const entries = await first.stream.read(10_000, 1);
  await first.stream.acknowledge(entries.map(({ id }) => id));
  const before = files(dataDir);
  while (files(dataDir).join() === before.join())
    await first.store.deny({ decisionId: 'd', event: { tenant_id: 'x' }, reason: 'unidentified' });
  await first.close();

  const second = await open(dataDir);
  const left = [...(await second.stream.reclaim(10_000, 0)), ...(await second.stream.read(10_000, 1))];
  expect(left.length).toBeGreaterThan(0);
  expect(left.every(({ event }) => JSON.parse(event ?? '').tenant_id === 'x')).toBe(true);
  expect(Math.min(...left.map(({ id }) => Number(id)))).toBe(Math.max(...entries.map(({ id }) => Number(id))) + 1);
  await second.close();
});
