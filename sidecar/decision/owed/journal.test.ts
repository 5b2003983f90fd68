import { appendFile, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { limit, plan } from '../../../test/conformance/workbench.ts';
import { TestClock } from '../../../test/helpers/clock.ts';
import { tempDir } from '../../../test/helpers/temp-dir.ts';
import { CountersUnavailable, type Owed } from '../../counters/contract.ts';
import { OwedJournal, type OwedJournalOptions } from './journal.ts';

let dataDir: string;
let lines: string[];
let open: OwedJournal[];

beforeEach(async () => {
  dataDir = await tempDir('owed');
  lines = [];
  open = [];
});

afterEach(async () => {
  for (const journal of open) await journal.close();
});

const clock = new TestClock();
const log = pino({ level: 'info' }, { write: (line: string) => void lines.push(line) });

async function openJournal(more: Partial<OwedJournalOptions> = {}): Promise<OwedJournal> {
  const journal = await OwedJournal.open({ dataDir, allow: true, clock, log, ...more });
  open.push(journal);
  return journal;
}

/** As after a restart of its process. */
async function reopened(journal: OwedJournal): Promise<OwedJournal> {
  await closed(journal);
  return openJournal();
}

async function closed(journal: OwedJournal): Promise<void> {
  open = open.filter((other) => other !== journal);
  await journal.close();
}

const owed = (n: number, more: Partial<Owed> = {}): Owed => ({
  decisionId: `d${n}.0`,
  plan: plan(limit()),
  event: { tenant_id: 'acme' },
  fingerprint: '',
  decidedAt: clock.now() + n,
  ...more,
});

const addAll = (journal: OwedJournal, count: number) =>
  Promise.all(Array.from({ length: count }, (_, n) => journal.add(owed(n))));

/** Everything that is not charged yet, as read from the files. */
async function readAll(journal: OwedJournal): Promise<Owed[]> {
  const all: Owed[] = [];
  for (const segment of await journal.segments()) all.push(...(await journal.read(segment)));
  return all;
}

async function files(): Promise<string[]> {
  const root = join(dataDir, 'owed');
  const names = await readdir(root, { recursive: true });
  return names.filter((name) => name.endsWith('.owed')).map((name) => join(root, name));
}

const aside = async () => (await readdir(join(dataDir, 'owed', 'aside')).catch(() => [])).toSorted();

const said = (text: string) => lines.filter((line) => line.includes(text));

describe('what is added', () => {
  test('is read as it was, after a restart too, in the order in which it came', async () => {
    const grant = owed(1, {
      requestId: 'größe "1"\n',
      fingerprint: 'abc',
      event: { tenant_id: 'äcme', request_id: 'größe "1"\n', model: 'm', policy_revision: 'r1' },
    });
    const journal = await openJournal();
    await journal.add(owed(0));
    await journal.add(grant);
    const next = await reopened(journal);
    expect(await readAll(next)).toEqual([owed(0), grant]);
    expect(next.request('äcme', 'größe "1"\n')).toMatchObject({ decisionId: 'd1.0', policyRevision: 'r1' });
  });

  test('goes with what came at the same time into one write', async () => {
    const journal = await openJournal();
    await addAll(journal, 500);
    expect(await readAll(journal)).toHaveLength(500);
    expect(await files()).toHaveLength(1);
  });

  test('once for each request id of a tenant, also when two come together', async () => {
    const journal = await openJournal();
    const one = { requestId: 'r', fingerprint: 'a' };
    const grants = await Promise.all([1, 2, 3].map((n) => journal.add(owed(n, one))));
    expect(grants.map(({ decisionId }) => decisionId)).toEqual(['d1.0', 'd1.0', 'd1.0']);
    const other = await journal.add(owed(4, { ...one, event: { tenant_id: 'globex' } }));
    expect(other.decisionId).toBe('d4.0');
    expect(journal.pending).toBe(2);
  });

  test('leaves its file when it is charged, and the file goes with the last', async () => {
    const journal = await openJournal({ segmentBytes: 1_000 });
    await addAll(journal, 10);
    const before = await files();
    expect(before.length).toBeGreaterThan(3);
    for (const segment of await journal.segments()) {
      for (const { decisionId } of await journal.read(segment)) journal.charged(segment, decisionId, decisionId);
      await journal.finish(segment);
    }
    expect([journal.pending, journal.isEmpty, await files()]).toEqual([0, true, []]);
    expect(said('is charged')).toEqual([expect.stringContaining('"allowed":10,"charged":10')]);
    await closed(journal);
    expect(await readdir(join(dataDir, 'owed'))).toEqual([]);
  });
});

describe('bounded', () => {
  test.each([
    ['in grants', { maxGrants: 3 }],
    ['in bytes', { maxBytes: 1_200 }],
  ])('%s: beyond it nothing is added, which is said once a minute', async (_, bound) => {
    const journal = await openJournal(bound);
    const first = await Promise.allSettled(Array.from({ length: 20 }, (_, n) => journal.add(owed(n))));
    const refused = first.flatMap((one) => (one.status === 'rejected' ? [one.reason] : []));
    expect(refused.every((error) => error instanceof CountersUnavailable)).toBe(true);
    expect(refused.length).toBe(20 - journal.pending);
    expect(journal.pending).toBeGreaterThan(0);
    expect(said('requests are denied until')).toHaveLength(1);
    clock.advance(60_000);
    await expect(journal.add(owed(21))).rejects.toThrow(CountersUnavailable);
    expect(said('requests are denied until')).toHaveLength(2);

    const [segment] = await journal.segments();
    for (const { decisionId } of await journal.read(segment as never))
      journal.charged(segment as never, decisionId, decisionId);
    await journal.finish(segment as never);
    expect((await journal.add(owed(22))).decisionId).toBe('d22.0');
  });

  test('what cannot be written is not allowed, by nobody who asked for it', async () => {
    const journal = await openJournal();
    await rm(join(dataDir, 'owed'), { recursive: true });
    const one = { requestId: 'r' };
    const added = await Promise.allSettled([
      journal.add(owed(1, one)),
      journal.add(owed(2, one)),
      journal.add(owed(3)),
    ]);
    expect(added.map((each) => each.status === 'rejected' && each.reason instanceof CountersUnavailable)).toEqual([
      true,
      true,
      true,
    ]);
    expect([journal.pending, journal.request('acme', 'r')]).toEqual([0, undefined]);
  });
});

describe('what a process left', () => {
  /** Leaves a file of three grants, changes it, and opens it again. */
  async function changed(change: (path: string, text: string) => Promise<void>): Promise<OwedJournal> {
    const journal = await openJournal();
    await addAll(journal, 3);
    await closed(journal);
    const [path = ''] = await files();
    await change(path, await readFile(path, 'utf8'));
    return openJournal();
  }

  const ids = async (journal: OwedJournal) => (await readAll(journal)).map(({ decisionId }) => decisionId);

  test('with a torn last line: the line is left out, the rest is charged', async () => {
    const journal = await changed((path, text) => writeFile(path, text.slice(0, -20)));
    expect(await ids(journal)).toEqual(['d0.0', 'd1.0']);
    expect(said('nobody was told of it')).toHaveLength(1);
    expect(await aside()).toEqual([]);
  });

  test('with a damaged line: the line is put aside with an error, the rest is charged', async () => {
    const journal = await changed((path, text) => writeFile(path, text.replace('"d1.0"', '"d9.0"')));
    expect(await ids(journal)).toEqual(['d0.0', 'd2.0']);
    expect([journal.pending, journal.setAside]).toEqual([2, 1]);
    const [name = ''] = await aside();
    expect(await readFile(join(dataDir, 'owed', 'aside', name), 'utf8')).toMatch(/^[0-9a-f]{8} \{.*"d9.0".*\}\n$/);
    expect(said('lines of what was allowed are damaged')).toEqual([expect.stringContaining('"level":50')]);
  });

  test('with a file of a newer release: it is put aside as it is', async () => {
    let newer = '';
    const journal = await changed((path, text) => {
      newer = text.replace('version 1', 'version 2');
      return writeFile(path, newer);
    });
    expect(await ids(journal)).toEqual([]);
    const [name = ''] = await aside();
    expect(await readFile(join(dataDir, 'owed', 'aside', name), 'utf8')).toBe(newer);
    expect(said('begins as another one')).toEqual([expect.stringContaining('"level":50')]);
  });

  test('with bytes after the last line that are no line: they are left out', async () => {
    const journal = await changed((path) => appendFile(path, Buffer.alloc(4096)));
    expect(await ids(journal)).toEqual(['d0.0', 'd1.0', 'd2.0']);
  });

  test('with nothing: its folder goes', async () => {
    const journal = await changed((path) => rm(path));
    expect(journal.pending).toBe(0);
    expect(await readdir(join(dataDir, 'owed'))).toHaveLength(1);
  });

  test('is left alone while that process lives', async () => {
    const alive = await openJournal();
    await addAll(alive, 3);
    const second = await openJournal();
    expect(second.pending).toBe(0);
    await alive.add(owed(4));
    expect(await ids(alive)).toHaveLength(4);
  });
});

test('in deny mode nothing is added and no folder is made, and what was left is known', async () => {
  const deny = await openJournal({ allow: false });
  await expect(deny.add(owed(1))).rejects.toThrow(CountersUnavailable);
  expect(await readdir(dataDir)).toEqual([]);
  const journal = await openJournal();
  await addAll(journal, 3);
  await closed(journal);
  expect((await openJournal({ allow: false })).pending).toBe(3);
});
