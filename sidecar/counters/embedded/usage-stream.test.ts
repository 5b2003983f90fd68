import { pino } from 'pino';
import { beforeEach, describe, expect, test } from 'vitest';
import type { StreamEntry } from '../../../schemas/usage-stream.ts';
import { TestClock } from '../../../test/helpers/clock.ts';
import { SETTINGS } from '../../../test/helpers/counter-settings.ts';
import { tempDir } from '../../../test/helpers/temp-dir.ts';
import { CountersUnavailable } from '../contract.ts';
import { createEmbeddedStore, type Embedded } from './open.ts';

const IDLE_MS = 60_000;

let dataDir: string;
let clock: TestClock;
let embedded: Embedded;

beforeEach(async () => {
  dataDir = await tempDir('counters');
  clock = new TestClock();
  embedded = await open();
  return () => embedded.close();
});

const open = () => createEmbeddedStore({ dataDir, clock, log: pino({ level: 'silent' }), settings: SETTINGS });

async function restart(): Promise<void> {
  await embedded.close();
  embedded = await open();
}

/** Appends events called as given. */
async function append(...names: string[]): Promise<void> {
  await Promise.all(
    names.map((name) => embedded.store.deny({ decisionId: name, event: { tenant_id: 't' }, reason: 'unidentified' })),
  );
}

const names = (entries: StreamEntry[]) => entries.map(({ event }) => JSON.parse(event ?? '').decision_id);
const ids = (entries: StreamEntry[]) => entries.map(({ id }) => id);

describe('reading', () => {
  test('gives what there is, in order, as many as asked for, each once', async () => {
    await append('a', 'b', 'c');
    expect(names(await embedded.stream.read(2, 0))).toEqual(['a', 'b']);
    expect(names(await embedded.stream.read(2, 0))).toEqual(['c']);
    expect(await embedded.stream.read(2, 0)).toEqual([]);
  });

  test('ids go up, also over a restart', async () => {
    await append('a', 'b');
    const before = ids(await embedded.stream.read(10, 0)).map(Number);
    await embedded.stream.acknowledge(before.map(String));
    await restart();
    await append('c');
    const after = ids(await embedded.stream.read(10, 0)).map(Number);
    expect([...before, ...after]).toEqual([...before, ...after].sort((a, b) => a - b));
    expect(new Set([...before, ...after]).size).toBe(3);
  });

  test('waits for the first entry, and has it as soon as it is written', async () => {
    const reading = embedded.stream.read(10, 20_000);
    await append('a');
    expect(names(await reading)).toEqual(['a']);
  });

  test('answers with none when the time is over', async () => {
    expect(await embedded.stream.read(10, 20)).toEqual([]);
  });

  test('shows nothing that is not written: the ledger must not have what a crash takes back', async () => {
    const appending = append('a');
    expect(await embedded.stream.read(10, 0)).toEqual([]);
    await appending;
    expect(names(await embedded.stream.read(10, 0))).toEqual(['a']);
  });

  test('two that wait at once do not get the same entry', async () => {
    const reading = [embedded.stream.read(10, 200), embedded.stream.read(10, 200)];
    await append('a', 'b', 'c');
    expect((await Promise.all(reading)).flatMap(names).sort()).toEqual(['a', 'b', 'c']);
  });

  test('closing ends the waiting, and reading after it is refused', async () => {
    const reading = embedded.stream.read(10, 20_000);
    await embedded.stream.close();
    expect(await reading).toEqual([]);
    await expect(embedded.stream.read(1, 0)).rejects.toThrow(CountersUnavailable);
  });
});

describe('what was taken and not acknowledged', () => {
  test('is found by reclaim at the next start at once, and says how often it was delivered', async () => {
    await append('a', 'b', 'c');
    const taken = await embedded.stream.read(2, 0);
    await embedded.stream.acknowledge(ids(taken).slice(0, 1));
    await restart();
    const again = await embedded.stream.reclaim(10, IDLE_MS);
    expect(names(again)).toEqual(['b']);
    expect(again).toMatchObject([{ id: taken[1]?.id, redelivered: 1 }]);
    await restart();
    expect(await embedded.stream.reclaim(10, IDLE_MS)).toMatchObject([{ redelivered: 2 }]);
    expect(names(await embedded.stream.read(10, 0))).toEqual(['c']);
  });

  test('is found in the same process only when it has been left for long', async () => {
    await append('a', 'b');
    await embedded.stream.read(1, 0);
    clock.advance(IDLE_MS - 1);
    expect(await embedded.stream.reclaim(10, IDLE_MS)).toEqual([]);
    clock.advance(1);
    expect(names(await embedded.stream.reclaim(10, IDLE_MS))).toEqual(['a']);
    expect(await embedded.stream.reclaim(10, IDLE_MS)).toEqual([]);
  });

  test('a wall clock that jumps changes nothing of that', async () => {
    await append('a');
    await embedded.stream.read(1, 0);
    clock.set(clock.now() + 10 * IDLE_MS);
    expect(await embedded.stream.reclaim(10, IDLE_MS)).toEqual([]);
  });
});

describe('acknowledging', () => {
  test('is for good', async () => {
    await append('a', 'b', 'c');
    const [first, second] = ids(await embedded.stream.read(10, 0));
    await embedded.stream.acknowledge([second as string]);
    await embedded.stream.acknowledge([second as string, 'unknown']);
    await restart();
    expect(names(await embedded.stream.reclaim(10, 0))).toEqual(['a', 'c']);
    await embedded.stream.acknowledge([first as string]);
    expect(await embedded.stream.lag()).toMatchObject({ entries: 1 });
  });

  test('does not touch what was not delivered', async () => {
    await append('a', 'b');
    const [a] = ids(await embedded.stream.read(1, 0));
    await embedded.stream.acknowledge([a as string, String(Number(a) + 1)]);
    expect(names(await embedded.stream.read(10, 0))).toEqual(['b']);
  });

  test('goes on when the counters are closed, so that a worker can finish', async () => {
    await append('a');
    const taken = await embedded.stream.read(10, 0);
    await embedded.store.close();
    await expect(append('b')).rejects.toThrow(CountersUnavailable);
    await embedded.stream.acknowledge(ids(taken));
    await restart();
    expect(await embedded.stream.lag()).toEqual({ entries: 0, oldestMs: 0 });
  });
});

test('the lag is what is not acknowledged, and the age of its oldest', async () => {
  expect(await embedded.stream.lag()).toEqual({ entries: 0, oldestMs: 0 });
  await append('a');
  clock.advance(5_000);
  await append('b');
  expect(await embedded.stream.lag()).toEqual({ entries: 2, oldestMs: 5_000 });
  const [a] = ids(await embedded.stream.read(1, 0));
  expect(await embedded.stream.lag()).toEqual({ entries: 2, oldestMs: 5_000 });
  await embedded.stream.acknowledge([a as string]);
  expect(await embedded.stream.lag()).toEqual({ entries: 1, oldestMs: 0 });
});
