import { appendFile, readdir, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pino } from 'pino';
import { beforeEach, describe, expect, test } from 'vitest';
import { limit, plan, Workbench } from '../../../test/conformance/workbench.ts';
import { TestClock } from '../../../test/helpers/clock.ts';
import { SETTINGS } from '../../../test/helpers/counter-settings.ts';
import { tempDir } from '../../../test/helpers/temp-dir.ts';
import { createEmbeddedStore } from './open.ts';
import { DamagedFile } from './read-records.ts';

const DAY = 86_400_000;

let dataDir: string;
let clock: TestClock;
let warnings: string[];

beforeEach(async () => {
  dataDir = await tempDir('counters');
  clock = new TestClock();
  warnings = [];
});

const boost = (id: string, expiresAt: number) => ({
  id,
  tenantId: 'acme',
  userId: 'alice',
  tokens: 500,
  expiresAt,
  reason: 'a release',
  by: 'admin',
});

const folder = () => join(dataDir, 'counters');
const journal = (generation = 1) => join(folder(), `journal-00000000${generation}`);

async function open(): Promise<Workbench> {
  const log = pino({ level: 'warn' }, { write: (line: string) => warnings.push(line) });
  return new Workbench({ ...(await createEmbeddedStore({ dataDir, clock, log, settings: SETTINGS })), clock });
}

/** A store that has taken three times, closed. */
async function used(): Promise<Workbench> {
  const bench = await open();
  for (let each = 0; each < 3; each++) await bench.taken(limit());
  await bench.close();
  return bench;
}

async function fault(): Promise<string> {
  const before = await contents();
  const error = await open().catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(DamagedFile);
  expect(await contents()).toEqual(before);
  return (error as Error).message;
}

const contents = async () =>
  Promise.all((await readdir(folder())).map(async (name) => [name, await readFile(join(folder(), name), 'latin1')]));

describe('started again', () => {
  test('it remembers counters, records, request ids, reports and the stream', async () => {
    const first = await open();
    const estimate = limit({ id: 'estimate', capacity: 100, cost: 40, settles: true });
    const a = await first.taken(plan(limit(), estimate), { requestId: 'a', event: { policy_revision: 'r1' } });
    const b = await first.taken(plan(limit(), estimate), { requestId: 'b' });
    const c = await first.taken(limit(), { requestId: 'c' });
    const report = await first.settle(a.id, 15);
    await first.void(c.id);
    const record = await first.store.record(a.id);
    await first.close();

    const second = await open();
    expect(await second.peek(plan(limit({ cost: 0 }), { ...estimate, cost: 0 }), first.tenant)).toMatchObject({
      limits: [{ before: 2 }, { before: 55 }],
    });
    expect(await second.store.record(a.id)).toEqual(record);
    const event = { tenant_id: first.tenant };
    expect(await second.take(limit(), { requestId: 'a', event })).toMatchObject({
      kind: 'replayed',
      decisionId: a.id,
      policyRevision: 'r1',
      outcome: a.outcome,
    });
    expect(await second.settle(a.id, 15)).toEqual({ ...report, replayed: true });
    expect(await second.settle(b.id, 41)).toMatchObject({ kind: 'settled', changes: [{ amount: 1 }] });
    await second.taken(limit(), { requestId: 'c', event });
    const types = (await second.events(first.tenant)).map(({ type }) => type);
    expect(types).toEqual(['reserved', 'reserved', 'consumed', 'settled', 'voided', 'settled', 'consumed']);
    await second.close();
  });

  test('it remembers boosts of budgets, those that were taken back, and their version', async () => {
    const first = await open();
    for (const id of ['a', 'b', 'c']) await first.store.grantBudget(boost(id, clock.now() + DAY));
    await first.store.grantBudget(boost('short', clock.now() + 1));
    await first.store.revokeGrant('b', 'admin');
    const before = await first.store.budgetGrants(undefined);
    expect(before?.grants.map(({ id }) => id)).toEqual(['a', 'c', 'short']);
    await first.close();

    const second = await open();
    expect(await second.store.budgetGrants(undefined)).toEqual(before);
    expect(await second.store.budgetGrants(before?.version)).toBeUndefined();
    expect(await second.store.grantBudget(boost('b', clock.now() + DAY))).toMatchObject({ replayed: true });
    clock.advance(1);
    const after = await second.store.budgetGrants(before?.version);
    expect(after?.grants.map(({ id }) => id)).toEqual(['a', 'c']);
    expect(await second.store.revokeGrant('a', 'admin')).toBe(true);
    expect(await second.events('acme')).toHaveLength(6);
    await second.close();
  });

  test('a boost that a crash cut off is not there, and nor is its event', async () => {
    const first = await open();
    await first.store.grantBudget(boost('a', clock.now() + DAY));
    const version = (await first.store.budgetGrants(undefined))?.version;
    await first.store.grantBudget(boost('b', clock.now() + DAY));
    await first.close();
    await truncate(journal(), (await readFile(journal())).length - 20);

    const second = await open();
    expect(await second.store.budgetGrants(version)).toBeUndefined();
    expect(await second.store.grantBudget(boost('b', clock.now() + DAY))).toMatchObject({ replayed: false });
    expect((await second.events('acme')).map(({ id }) => id)).toEqual(['a:adjusted', 'b:adjusted']);
    await second.close();
  });

  test('it goes on refilling from when it was used, not from when it was started', async () => {
    const first = await open();
    await first.taken(limit({ cost: 10 }));
    await first.close();
    clock.advance(DAY - 1);
    const second = await open();
    const event = { tenant_id: first.tenant };
    await second.refused(limit(), { event });
    clock.advance(1);
    await second.taken(limit({ cost: 10 }), { event });
    await second.close();
  });

  test('what has expired meanwhile is as if it had never been', async () => {
    const first = await open();
    const { id } = await first.taken(limit({ settles: true }), { requestId: 'q' });
    await first.close();
    clock.advance(DAY);
    const second = await open();
    expect(await second.store.record(id)).toBeUndefined();
    expect(await second.settle(id, 1)).toEqual({ kind: 'unknown' });
    await second.taken(limit(), { requestId: 'q', event: { tenant_id: first.tenant } });
    await second.close();
  });

  test('again and again, it stays the same', async () => {
    const { tenant } = await used();
    for (let each = 0; each < 3; each++) {
      const bench = await open();
      expect((await bench.peek(limit({ cost: 0 }), tenant)).limits).toMatchObject([{ before: 3 }]);
      await bench.close();
    }
    expect(warnings).toEqual([]);
  });
});

describe('a record that a crash cut off is cut away, with a warning, and the store goes on', () => {
  test.each([
    ['in the middle of its last line', async () => truncate(journal(), (await readFile(journal())).length - 20), 2],
    ['but for the end of its line', async () => truncate(journal(), (await readFile(journal())).length - 1), 2],
    ['and filled with zeros by a loss of power', async () => appendFile(journal(), Buffer.alloc(5_000)), 3],
    ['with its line end and not its content', async () => appendFile(journal(), '00000000 {"coun\n'), 3],
  ])('%s', async (_, crash, left) => {
    const { tenant } = await used();
    await crash();
    const bench = await open();
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain(journal());
    expect((await bench.peek(limit({ cost: 0 }), tenant)).limits).toMatchObject([{ before: left }]);
    await bench.taken(limit(), { event: { tenant_id: tenant } });
    await bench.close();

    const again = await open();
    expect(warnings).toHaveLength(1);
    expect((await again.peek(limit({ cost: 0 }), tenant)).limits).toMatchObject([{ before: left + 1 }]);
    await again.close();
  });
});

describe('what cannot be trusted is refused, and left as it is', () => {
  test('a damaged record before the end: file, byte and what to do', async () => {
    await used();
    const text = await readFile(journal(), 'utf8');
    const offset = text.indexOf('\n') + 1;
    await writeFile(journal(), text.replace('"used":1', '"used":0'));
    const message = await fault();
    expect(message).toContain(`${journal()}: the record at byte ${offset} is damaged`);
    expect(message).toContain(`truncate -s ${offset} '${journal()}'`);
    await truncate(journal(), offset);
    await (await open()).close();
  });

  test('a file of a newer release', async () => {
    await used();
    const text = await readFile(journal(), 'utf8');
    await writeFile(journal(), text.replace('version 1', 'version 2'));
    expect(await fault()).toMatch(/written by a newer release \(format 2; this one reads up to 1\)/);
  });

  test('a file of something else', async () => {
    await used();
    await writeFile(journal(), 'hello\n');
    expect(await fault()).toMatch(/does not begin as a journal/);
    await writeFile(journal(), '');
    expect(await fault()).toMatch(/has no whole first line/);
  });

  test('a journal that is missing', async () => {
    await used();
    await rename(journal(1), journal(2));
    expect(await fault()).toContain(`${journal(1)} is missing`);
  });

  test('a snapshot without its journal, or without its end', async () => {
    const first = await open();
    await first.close();
    await rm(journal());
    const snapshot = join(folder(), 'snapshot-000000002');
    await writeFile(snapshot, 'openclaw-rating counters snapshot, version 1\n');
    expect(await fault()).toContain(`${journal(2)} is missing`);
    await writeFile(journal(2), 'openclaw-rating counters journal, version 1\n');
    expect(await fault()).toContain(`${snapshot}: the record at byte 45 is damaged`);
  });
});

test('nothing that is written can be read by another user of the machine', async () => {
  const { stat } = await import('node:fs/promises');
  await used();
  expect((await stat(folder())).mode & 0o077).toBe(0);
  expect((await stat(journal())).mode & 0o077).toBe(0);
});
