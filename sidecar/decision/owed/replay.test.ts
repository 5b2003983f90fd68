import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { calendarWindow, limit, plan } from '../../../test/conformance/workbench.ts';
import { TestClock } from '../../../test/helpers/clock.ts';
import { SETTINGS } from '../../../test/helpers/counter-settings.ts';
import { eventually } from '../../../test/helpers/eventually.ts';
import { tempDir } from '../../../test/helpers/temp-dir.ts';
import { type CounterStore, CountersUnavailable, type Owed } from '../../counters/contract.ts';
import { createEmbeddedStore, type Embedded } from '../../counters/embedded/open.ts';
import { OwedJournal } from './journal.ts';
import { Replay } from './replay.ts';

/** On the embedded store, with a wire before it that can be cut. */
const clock = new TestClock(Date.parse('2026-01-01T23:59:00Z'));
const log = pino({ level: 'silent' });
let dataDir: string;
let embedded: Embedded;
let journal: OwedJournal;
let replay: Replay;

/** What happens to each call of `owe`: before, so that nothing is done, or after, so that only the answer is lost. */
let fault: { away: boolean; loseAnswer: (owed: Owed) => boolean; refuse: (owed: Owed) => boolean };
let asked: string[];

beforeEach(async () => {
  clock.set(Date.parse('2026-01-01T23:59:00Z'));
  dataDir = await tempDir('replay');
  embedded = await createEmbeddedStore({ dataDir, clock, log, settings: SETTINGS });
  journal = await OwedJournal.open({ dataDir, allow: true, clock, log, segmentBytes: 4_000 });
  fault = { away: false, loseAnswer: () => false, refuse: () => false };
  asked = [];
  replay = new Replay(journal, wired(embedded.store), log, 20);
  replay.start();
});

afterEach(async () => {
  await replay.stop();
  await Promise.all([journal.close(), embedded.close()]);
});

function wired(store: CounterStore): CounterStore {
  const owe = async (owed: Owed) => {
    if (fault.away) throw new CountersUnavailable('away');
    asked.push(owed.decisionId);
    if (fault.refuse(owed)) throw new CountersUnavailable('the take script refused its arguments: nonsense');
    const result = await store.owe(owed);
    if (fault.loseAnswer(owed)) throw new CountersUnavailable('no answer within 250 ms');
    return result;
  };
  const ping = async () => {
    if (fault.away) throw new CountersUnavailable('away');
  };
  return Object.assign(Object.create(store) as CounterStore, { owe, ping });
}

const owed = (n: number, more: Partial<Owed> = {}): Owed => ({
  decisionId: `d${n}.0`,
  plan: plan(limit()),
  event: { tenant_id: 'acme' },
  fingerprint: '',
  decidedAt: clock.now() + n,
  ...more,
});

const allDone = () => eventually(() => expect([journal.pending, journal.isEmpty]).toEqual([0, true]));

const used = async (counter = limit()) =>
  (await embedded.store.peek(plan({ ...counter, cost: 0 }), 'acme')).outcome.limits[0]?.before;

async function events() {
  const entries = await embedded.stream.read(1_000, 1);
  return entries.map(({ event }) => JSON.parse(event ?? '{}'));
}

test('charges each once, the oldest first, into debt, although every answer is lost once', async () => {
  fault.away = true;
  for (let n = 0; n < 60; n++) await journal.add(owed(n));
  const lost = new Set<string>();
  fault.loseAnswer = ({ decisionId }) => !lost.has(decisionId) && Boolean(lost.add(decisionId));
  fault.away = false;
  await allDone();
  expect(await used()).toBe(60);
  expect(asked).toHaveLength(120);
  const seen = await events();
  expect(seen.map(({ id }) => id)).toEqual(Array.from({ length: 60 }, (_, n) => `d${n}.0:consumed`));
  expect(seen.map(({ decided_at, degraded }) => [decided_at - clock.now(), degraded])).toEqual(
    Array.from({ length: 60 }, (_, n) => [n, true]),
  );
});

test('asks nothing while the store is away, and goes on where it stopped', async () => {
  fault.away = true;
  for (let n = 0; n < 40; n++) await journal.add(owed(n));
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect([asked, journal.pending]).toEqual([[], 40]);
  fault.loseAnswer = () => {
    fault.away = asked.length >= 10;
    return fault.away;
  };
  fault.away = false;
  await eventually(() => expect(asked.length).toBeGreaterThanOrEqual(10));
  fault.loseAnswer = () => false;
  fault.away = false;
  await allDone();
  expect(await used()).toBe(40);
});

test('puts aside what is refused for good, and charges the others', async () => {
  fault.refuse = ({ decisionId }) => decisionId === 'd1.0';
  for (let n = 0; n < 5; n++) await journal.add(owed(n));
  await allDone();
  expect([await used(), journal.setAside]).toEqual([4, 1]);
  expect(asked.filter((decisionId) => decisionId === 'd1.0')).toHaveLength(5);
  const folder = join(dataDir, 'owed', 'aside');
  expect(await readdir(folder)).toEqual(['d1.0.refused']);
  expect(await readFile(join(folder, 'd1.0.refused'), 'utf8')).toContain('"decisionId":"d1.0"');
});

test('a window whose period ended meanwhile: billed, and not charged to the one that runs', async () => {
  fault.away = true;
  await journal.add(owed(0, { plan: plan(calendarWindow()) }));
  clock.advance(120_000);
  await embedded.store.take({ ...owed(1, { plan: plan(calendarWindow()) }) });
  await journal.add(owed(2, { plan: plan(calendarWindow()) }));
  fault.away = false;
  await allDone();
  expect(await used(calendarWindow() as never)).toBe(2);
  expect((await events()).map(({ id }) => id).toSorted()).toEqual(['d0.0:consumed', 'd1.0:consumed', 'd2.0:consumed']);
});

test('a request id that was granted before is charged once, and found under the other decision', async () => {
  const request = { requestId: 'r', fingerprint: 'f' };
  await embedded.store.take({ ...owed(0), ...request });
  await journal.add(owed(1, request));
  await allDone();
  expect([await used(), journal.nameOf('d1.0'), journal.nameOf('d0.0')]).toEqual([1, 'd0.0', 'd0.0']);
});

test('one that was granted before for another body: both were allowed, and both are charged, once', async () => {
  await embedded.store.take({ ...owed(0), requestId: 'r', fingerprint: 'f' });
  const lost = new Set<string>();
  fault.loseAnswer = ({ decisionId, requestId }) =>
    requestId === undefined && !lost.has(decisionId) && Boolean(lost.add(decisionId));
  await journal.add(owed(1, { requestId: 'r', fingerprint: 'another' }));
  await allDone();
  expect(lost.size).toBe(1);
  expect(await used()).toBe(2);
});

test('a stop leaves the rest where it is', async () => {
  fault.away = true;
  for (let n = 0; n < 30; n++) await journal.add(owed(n));
  await replay.stop();
  fault.away = false;
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect([asked, journal.pending]).toEqual([[], 30]);
  await journal.close();
  journal = await OwedJournal.open({ dataDir, allow: true, clock, log });
  replay = new Replay(journal, embedded.store, log, 20);
  replay.start();
  await allDone();
  expect(await used()).toBe(30);
});
